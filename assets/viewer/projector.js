// The projector: the viewer alone in the window, large enough for the back row; and one picture alone in it. How they
// look is projector.css's; this file has the keys and the buttons.

import { make } from "./dom.js";
import { ALL, GRID } from "./layers.js";
import { isPair } from "./model.js";

const TYPING = "input:not([type=range]), textarea, select, [contenteditable]";
const TURN = { ArrowLeft: -1, ArrowRight: 1 };

// What the projector shows when a layer is chosen: its maps; chosen again, the pictures.
export const projected = (view, layer) =>
  (view.projector === "maps" && layer === view.layer ? "pictures" : "maps");

// `play()` plays or pauses. `view.projector` is "pictures", "maps" or null; `view.alone` [column, picture] or null.
export function newProjector(root, model, view, columns, act, play) {
  const button = root.querySelector(".rv-project");
  const scrubber = root.querySelector(".rv-scrubber");
  let shown = "";                     // what `show` has shown
  let isOn = false;
  let before = null;                  // what had the focus before
  let fills = false;                  // the browser has given the whole screen

  const isInSight = () => root.isConnected && root.getClientRects().length > 0;
  const isFull = () => Boolean(view.projector || view.alone);

  function show() {
    const state = `${view.projector} ${view.alone}`;
    if (state === shown) return;      // to ask what is in sight makes the browser lay out the page
    shown = state;
    const seen = isFull() && isInSight();
    const picked = seen && view.alone ? columns()[view.alone[0]]?.framed()[view.alone[1]] : null;
    const full = seen && Boolean(view.projector || picked);
    root.classList.toggle("rv-full", full);
    root.classList.toggle("rv-projector", full && Boolean(view.projector));
    root.classList.toggle("rv-maps", view.projector === "maps");
    root.classList.toggle("rv-alone", Boolean(picked));
    for (const picture of columns().flatMap((column) => column.framed()))
      picture.figure.classList.toggle("rv-picked", picture === picked);
    button.setAttribute("aria-pressed", String(Boolean(view.projector)));
    if (full !== isOn) turn(full, picked);
  }

  // The rest of the page is out of sight, and of reach for Tab, and comes back as it was.
  function turn(full, picked) {
    isOn = full;
    document.body.classList.toggle("projecting", full);
    if (full) {
      before = document.activeElement;
      (picked?.frame ?? (isPair(model) ? button : scrubber)).focus({ preventScroll: true });
    } else {
      if (fills && document.fullscreenElement) document.exitFullscreen();
      fills = false;
      if (before?.isConnected && isInSight()) before.focus({ preventScroll: true });
    }
  }

  async function toggle() {
    const on = !view.projector;
    act({ projector: on ? "pictures" : null, alone: null, ...(on && view.layer === GRID && { layer: ALL }) });
    if (!on || !document.fullscreenEnabled || document.fullscreenElement) return;
    try {
      await document.documentElement.requestFullscreen();
      if (view.projector) fills = true;
      else await document.exitFullscreen();  // left before the window was filled
    } catch { /* Not allowed here: it fills the window. */ }
  }

  const leave = () => act(view.alone ? { alone: null } : { projector: null });

  function open(frame) {
    const index = columns().findIndex((column) => column.root.contains(frame));
    const picture = columns()[index].framed().findIndex((each) => each.frame === frame);
    act({ alone: view.alone ? null : [index, picture] });
  }

  function onKey(event) {
    const { key, target } = event;
    if (!model.meta || !isInSight() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest?.(TYPING) || document.querySelector("dialog[open], :popover-open")) return;
    const frame = target.closest?.(".rv-frame");
    const scrubs = !isPair(model) && !target.closest?.("input, [role=slider]");
    if (key === "p" || key === "P") toggle();
    else if (frame && root.contains(frame) && (key === "f" || key === "F" || (key === "Enter" && !view.inside)))
      open(frame);
    else if (!isFull()) return;
    else if (key === "Escape") leave();
    else if (key === " " && !isPair(model) && !target.closest?.("button, summary, a")) play();
    else if (TURN[key] && scrubs) act({ step: view.step + TURN[key] });
    else if (/^(Home|End)$/.test(key) && scrubs) act({ step: key === "Home" ? 0 : Infinity });
    else return;
    event.preventDefault();
  }

  // There are other pictures: each has a button in its corner that opens it.
  function refresh() {
    shown = "";
    for (const { frame } of columns().flatMap((column) => column.framed())) {
      if (frame.querySelector(".rv-enlarge")) continue;
      const enlarge = make("button", { type: "button", className: "rv-enlarge", ariaLabel: "Full window (F)" });
      enlarge.title = "Full window (F)";
      enlarge.tabIndex = -1;          // the picture itself is a stop, and takes the key
      enlarge.addEventListener("pointerdown", (event) => event.stopPropagation());
      enlarge.addEventListener("click", (event) => { event.stopPropagation(); open(frame); });
      frame.append(enlarge);
    }
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("fullscreenchange", () => {
    if (!fills || document.fullscreenElement) return;
    fills = false;
    if (view.projector) act({ projector: null, alone: null });
  });
  // Another page has come up: back and forward, or a link.
  document.addEventListener("page-selected", () => setTimeout(() => {
    if (isFull() && !isInSight()) act({ projector: null, alone: null });
  }));
  button.addEventListener("click", toggle);
  root.addEventListener("change", ({ target }) => {
    if (isFull() && target.matches("select")) scrubber.focus({ preventScroll: true });
  });

  return { show, refresh };
}
