// Runs in each place for HTML of report.py: shows it, and tells the page of a link or a drawn place in it. Beside it stands
// `whatchanged`, the script of the reports; Gradio gives `element`, `props`, `trigger` and `watch`. It may not put in the
// HTML itself: it would change the old into the new, element by element, with the listeners of the old.
const view = document.createElement("div");
element.append(view);

function show() {
  view.innerHTML = props.value || "";
  whatchanged();
  view.querySelectorAll(".whatchanged-pair").forEach(ignoring);
  if (props.value && !document.activeElement?.closest(".settings")) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const top = document.getElementById(`${props.above}-status`) || view;
    top.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }
}

function ignoring(root) {
  if (props.above !== "pair") return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Ignore a place";
  button.title = "Drag over it in the before picture, side by side: what lies there is not compared";
  button.setAttribute("aria-pressed", "false");
  root.querySelector(".tools .status").before(button);
  const say = (text) => { root.querySelector(".tools .status").textContent = text; };
  const put = (on) => {
    root.toggleAttribute("data-drawing", on);
    button.setAttribute("aria-pressed", String(on));
    if (on) {
      root.querySelector("button[data-view=side]").click();
      say("Drag over a place in the before picture; or write it into the settings.");
    }
  };
  button.addEventListener("click", () => put(!root.hasAttribute("data-drawing")));
  root.querySelectorAll("figure.before .frame").forEach((frame) => drawn(root, frame, (box) => {
    put(false);
    trigger("select", { box });
  }));
}

function drawn(root, frame, done) {
  let start = null;
  let area = null;
  const at = (event) => {
    const edge = frame.getBoundingClientRect();
    const style = getComputedStyle(frame);
    const within = (value) => Math.min(1, Math.max(0, value));
    return [
      within((event.clientX - edge.left) / edge.width) * Number(style.getPropertyValue("--fw")),
      within((event.clientY - edge.top) / edge.height) * Number(style.getPropertyValue("--fh")),
    ];
  };
  const box = (event) => {
    const end = at(event);
    const [x, y] = [0, 1].map((axis) => Math.floor(Math.min(start[axis], end[axis])));
    const [right, bottom] = [0, 1].map((axis) => Math.ceil(Math.max(start[axis], end[axis])));
    return [x, y, Math.max(1, right - x), Math.max(1, bottom - y)];
  };
  frame.addEventListener("pointerdown", (event) => {
    if (!root.hasAttribute("data-drawing") || event.button) return;
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    start = at(event);
    area = document.createElement("span");
    area.className = "drawn";
    frame.append(area);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!start) return;
    const style = getComputedStyle(frame);
    const [x, y, width, height] = box(event);
    const [fw, fh] = ["--fw", "--fh"].map((name) => Number(style.getPropertyValue(name)));
    area.style.cssText = `left:${(100 * x) / fw}%;top:${(100 * y) / fh}%;`
      + `width:${(100 * width) / fw}%;height:${(100 * height) / fh}%`;
  });
  frame.addEventListener("pointerup", (event) => {
    if (!start) return;
    const found = box(event);
    start = null;
    area.remove();
    done(found);
  });
}

view.addEventListener("click", (event) => {
  const link = event.target.closest(".whatchanged-index :is(a, .thumbs)")?.closest("li").querySelector("a");
  if (!link) return;
  event.preventDefault();
  trigger("select", { link: link.getAttribute("href") });
});
watch("value", show);
show();
