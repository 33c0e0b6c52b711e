() => {
  // Light or dark is remembered, beside the report's own; and a page that is loaded anew says what was lost.
  const kept = (name, value) => {
    try {
      if (value !== undefined) localStorage.setItem(name, value);
      return localStorage.getItem(name);
    } catch { return null; /* a browser may keep nothing */ }
  };
  const put = (name) => {
    document.body.classList.toggle("dark", name === "dark");
    document.documentElement.dataset.theme = name;
    document.body.style.background = "var(--body-background-fill)";
  };
  if (kept("whatchanged-theme")) put(kept("whatchanged-theme"));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const next = document.body.classList.contains("dark") ? "light" : "dark";
    put(next);
    kept("whatchanged-theme", next);
  });

  const key = "whatchanged-lost";
  addEventListener("pagehide", () => {
    const ran = [...document.querySelectorAll("button")].some((one) => one.textContent.trim() === "Cancel" && !one.disabled);
    const held = document.querySelector(".picture img, #pairs-files .filename, .whatchanged");
    if (ran || held) sessionStorage.setItem(key, ran ? "run" : "pictures");
    else sessionStorage.removeItem(key);
  });
  const lost = sessionStorage.getItem(key);
  if (lost) {
    const said = document.createElement("p");
    said.setAttribute("role", "status");
    said.className = "lost";
    said.textContent = lost === "run"
      ? "The page was loaded anew while it compared: the run was ended, and the pictures were deleted. Put them in again."
      : "The page was loaded anew: the pictures and results that were on it are deleted. Put them in again.";
    document.querySelector("#introduction")?.append(said);
    sessionStorage.removeItem(key);
  }
}
