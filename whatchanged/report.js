"use strict";
// The views of a pair, and the filters of the page over many. Nothing foreign becomes HTML: texts are set as text.
(() => {
  const VIEWS = ["side", "swipe", "blink", "heat"];
  const LABELS = 300;  // of a picture: the strongest regions; the others tell their number when they are pointed at
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  function pair(root) {
    const one = (selector) => root.querySelector(selector);
    const all = (selector) => [...root.querySelectorAll(selector)];
    const sheets = all(".sheet");
    const regions = all(".region");
    let sheet = sheets[0];
    let chosen = -1;
    let timer = 0;

    const say = (text) => { one(".status").textContent = text; };

    function turn(face) {
      root.dataset.face = face;
      all(".face").forEach((label) => { label.textContent = face === "before" ? "Before" : "After"; });
    }
    const other = () => turn(root.dataset.face === "before" ? "after" : "before");

    function play(on) {
      clearInterval(timer);
      timer = on ? setInterval(other, 700) : 0;
      all(".play").forEach((button) => { button.textContent = on ? "Pause" : "Play"; });
    }

    function view(name) {
      root.dataset.view = name;
      all("button[data-view]").forEach((button) => press(button, button.dataset.view === name));
      turn("before");
      play(name === "blink" && !still.matches);
      panes();
    }

    // Enlarged and side by side each picture is a pane of its own, and the other one follows the one that is scrolled.
    let leading = null;
    const figures = all("figure");
    function panes() {
      const apart = root.dataset.view === "side" && root.dataset.zoom !== "fit";
      figures.forEach((figure) => { apart ? figure.setAttribute("tabindex", "0") : figure.removeAttribute("tabindex"); });
    }
    figures.forEach((figure) => {
      ["pointerenter", "pointerdown", "focusin"].forEach((event) => figure.addEventListener(event, () => { leading = figure; }));
      figure.addEventListener("scroll", () => {
        if (figure !== leading) return;
        const others = figures.filter((other) => other !== figure && other.parentElement === figure.parentElement);
        others.forEach((other) => other.scrollTo(figure.scrollLeft, figure.scrollTop));
      });
    });

    function center(box) {
      const pane = box.closest("figure");
      const [here, place] = [box, pane].map((each) => each.getBoundingClientRect());
      pane.scrollLeft += here.left + here.width / 2 - place.left - place.width / 2;
      pane.scrollTop += here.top + here.height / 2 - place.top - place.height / 2;
    }

    function slide(percent) {
      const at = Math.min(100, Math.max(0, percent));
      root.style.setProperty("--at", at + "%");
      all(".slider").forEach((slider) => {
        slider.value = at;
        slider.setAttribute("aria-valuetext", Math.round(at) + " % before");
      });
    }

    function boxes(on) {
      root.dataset.boxes = on ? "on" : "off";
      press(one(".boxes"), on);
      if (on) label();
    }

    function open(number) {
      sheet = sheets[number];
      sheets.forEach((each) => { each.hidden = each !== sheet; });
      const select = one("select.page");
      if (select) select.value = String(number);
      root.toggleAttribute("data-single", sheet.hasAttribute("data-single"));
      if (root.hasAttribute("data-single")) view("side");
    }

    // A label may cover neither a box nor another label: it goes to another corner, or is shown when it is pointed at.
    const PLACES = [
      ["", (box, w, h) => [box.left - 3, box.top - 3 - h]],
      ["low", (box, w, h) => [box.left - 3, box.bottom + 3]],
      ["start", (box, w, h) => [box.left, box.top - 3 - h]],
      ["low start", (box) => [box.left, box.bottom + 3]],
      ["left", (box, w, h) => [box.right + 3 - w, box.top - 3 - h]],
      ["low left", (box, w, h) => [box.right + 3 - w, box.bottom + 3]],
      ["in", (box) => [box.left + 3, box.top + 3]],
    ];
    const covers = (one, other) => one.left < other.right && other.left < one.right
      && one.top < other.bottom && other.top < one.bottom;
    const within = (one, other) => one.left > other.left && one.right < other.right
      && one.top > other.top && one.bottom < other.bottom;

    function label() {
      all(".frame").filter((frame) => frame.offsetParent).forEach((frame) => {
        const edge = frame.getBoundingClientRect();
        const own = [...frame.querySelectorAll(".box")];
        own.forEach((box, number) => box.classList.toggle("quiet", number >= LABELS));
        const boxes = own.map((box) => box.getBoundingClientRect());
        const sizes = own.slice(0, LABELS).map((box) => box.firstChild.getBoundingClientRect());
        const labels = [];
        sizes.forEach((size, number) => {
          const free = size.width && PLACES.find(([, corner]) => {
            const [left, top] = corner(boxes[number], size.width, size.height);
            const here = { left, top, right: left + size.width, bottom: top + size.height };
            if (here.top < edge.top - 1 || here.bottom > edge.bottom + 1) return false;
            if (here.left < edge.left - 1 || here.right > edge.right + 5) return false;
            if (labels.some((other) => covers(here, other))) return false;
            if (boxes.some((box, other) => other !== number && covers(here, box) && !within(here, box))) return false;
            labels.push(here);
            return true;
          });
          own[number].className = ["box", own[number].matches(".chosen") && "chosen", free ? free[0] : "quiet"]
            .filter(Boolean).join(" ");
        });
      });
    }

    function choose(number) {
      if (!regions.length) return;
      chosen = (number + regions.length) % regions.length;
      const region = regions[chosen];
      const home = sheets.indexOf(region.closest(".sheet"));
      if (sheets[home] !== sheet) open(home);
      regions.forEach((each) => each.removeAttribute("aria-current"));
      all(".box.chosen").forEach((box) => box.classList.remove("chosen"));
      region.setAttribute("aria-current", "true");
      const marked = [...sheet.querySelectorAll(".box")].filter((box) => box.dataset.region === region.dataset.region);
      marked.forEach((box) => box.classList.add("chosen"));
      const shown = marked.filter((box) => box.offsetParent);
      leading = null;  // each pane shows its own place of what moved
      shown.forEach(center);
      const target = shown[0] || sheet.querySelector(".stage");
      target.scrollIntoView({ block: "center", inline: "center", behavior: still.matches ? "auto" : "smooth" });
      const words = [...region.querySelectorAll(".words > *")].map((part) => part.textContent.split(" \u00b7 ").pop());
      say(`Region ${chosen + 1} of ${regions.length}: ` + words.join(", "));
    }

    all("button[data-view]").forEach((button) => button.addEventListener("click", () => view(button.dataset.view)));
    all(".slider").forEach((slider) => slider.addEventListener("input", () => slide(Number(slider.value))));
    all(".play").forEach((button) => button.addEventListener("click", () => play(!timer)));
    all(".other").forEach((button) => button.addEventListener("click", () => { play(false); other(); }));
    regions.forEach((region, number) => region.addEventListener("click", () => choose(number)));
    all(".box").forEach((box) => box.addEventListener("click", () => {
      const own = [...box.closest(".sheet").querySelectorAll(".region")];
      choose(regions.indexOf(own.find((region) => region.dataset.region === box.dataset.region)));
    }));
    one(".boxes").addEventListener("click", () => boxes(root.dataset.boxes !== "on"));
    one(".previous").addEventListener("click", () => choose(chosen < 0 ? -1 : chosen - 1));
    one(".next").addEventListener("click", () => choose(chosen + 1));
    one("select.zoom").addEventListener("change", (event) => {
      root.dataset.zoom = event.target.value;
      root.style.setProperty("--zoom", event.target.value);
      panes();
    });
    if (one("select.page")) one("select.page").addEventListener("change", (event) => open(Number(event.target.value)));
    const help = one("dialog");
    one(".keys").addEventListener("click", () => help.showModal());
    one(".close").addEventListener("click", () => help.close());

    all(".plane").forEach((plane) => {
      const drag = (event) => {
        const place = plane.getBoundingClientRect();
        slide((100 * (event.clientX - place.left)) / place.width);
      };
      plane.addEventListener("pointerdown", (event) => {
        if (root.dataset.view !== "swipe" || event.button) return;
        event.preventDefault();
        plane.setPointerCapture(event.pointerId);
        drag(event);
      });
      plane.addEventListener("pointermove", (event) => {
        if (plane.hasPointerCapture(event.pointerId)) drag(event);
      });
    });

    const doings = {
      n: () => choose(chosen + 1),
      p: () => choose(chosen < 0 ? -1 : chosen - 1),
      b: () => boxes(root.dataset.boxes !== "on"),
      "?": () => help.showModal(),
    };
    doings.ArrowRight = doings.n;
    doings.ArrowLeft = doings.p;
    VIEWS.forEach((name, number) => {
      doings[String(number + 1)] = () => { if (!root.hasAttribute("data-single")) view(name); };
    });
    const page = root.closest("body.whatchanged-report");  // elsewhere keys belong to the pair that has the focus
    (page ? document : root).addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
      const at = event.target;
      if (at.matches("select, textarea, input:not(.slider)")) return;
      const arrow = event.key.startsWith("Arrow");
      if (arrow && (at.matches(".slider") || (at.matches(".stage, figure") && at.scrollWidth > at.clientWidth))) return;
      const turns = event.key === " " && root.dataset.view === "blink" && !at.matches("button, a, input");
      const doing = turns ? () => { play(false); other(); } : doings[event.key];
      if (!doing) return;
      event.preventDefault();
      event.stopPropagation();
      doing();
    });

    const resized = new ResizeObserver(label);
    all(".frame").forEach((frame) => resized.observe(frame));
    still.addEventListener("change", () => { if (still.matches) play(false); });
    root.toggleAttribute("data-none", regions.length === 0);
    slide(50);
    view("side");
    open(0);
    if (regions.length > 1) say(`${regions.length} regions: choose one, or go from one to the next by n and p.`);
  }

  function index(root) {
    const list = root.querySelector(".entries");
    const entries = [...list.children];
    const buttons = [...root.querySelectorAll("button[data-state]")];
    const search = root.querySelector(".search");
    const names = new Intl.Collator("en", { numeric: true });
    const by = {
      given: (a, b) => a.dataset.given - b.dataset.given,
      name: (a, b) => names.compare(a.dataset.name, b.dataset.name),
      regions: (a, b) => b.dataset.regions - a.dataset.regions,
      similarity: (a, b) => a.dataset.similarity - b.dataset.similarity,
    };
    function filter() {
      const state = buttons.find((button) => button.getAttribute("aria-pressed") === "true").dataset.state;
      const asked = search.value.trim().toLowerCase();
      let shown = 0;
      entries.forEach((entry) => {
        const fits = (!state || entry.dataset.state === state) && entry.dataset.name.toLowerCase().includes(asked);
        entry.hidden = !fits;
        shown += fits;
      });
      root.querySelector(".status").textContent = `${shown} of ${entries.length} shown`;
    }
    buttons.forEach((button) => button.addEventListener("click", () => {
      buttons.forEach((each) => press(each, each === button));
      filter();
    }));
    search.addEventListener("input", filter);
    root.querySelector("select").addEventListener("change", (event) => {
      const order = by[event.target.value];
      list.append(...entries.sort((a, b) => order(a, b) || by.given(a, b)));
    });
  }

  function theme(button) {
    const kept = { get: () => null, set: () => {} };
    try {
      kept.get = localStorage.getItem.bind(localStorage, "whatchanged-theme");
      kept.set = localStorage.setItem.bind(localStorage, "whatchanged-theme");
    } catch { /* a browser may keep nothing of a file */ }
    const put = (name) => { if (name) document.documentElement.dataset.theme = name; };
    put(kept.get());
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset.theme
        || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
      const next = now === "dark" ? "light" : "dark";
      put(next);
      kept.set(next);
    });
  }

  document.querySelectorAll(".whatchanged:not([data-ready])").forEach((root) => {
    root.setAttribute("data-ready", "");
    root.querySelectorAll("[data-scripted]").forEach((one) => { one.hidden = false; });
    (root.matches(".whatchanged-index") ? index : pair)(root);
  });
  document.querySelectorAll("button.theme:not([data-ready])").forEach((button) => {
    button.setAttribute("data-ready", "");
    theme(button);
  });
})();
