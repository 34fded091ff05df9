// Zoom, pan and wipe: one state for all pictures, so they move in step. Only CSS changes; no picture is painted again.

import { newProbe } from "./probe.js";

const MAX_ZOOM = 32;
const HOLD_MS = 400;                            // a finger that rests as long reads pixels
const STILL = 8;                                // px that it may move meanwhile

// `changed` is called after each movement.
export function newZoom(root, model, view, columns, act, changed) {
  const pointers = new Map();
  let drag = null;                              // "pan", "wipe", "pinch" or "read"
  let hold = 0;                                 // the timer of a finger that rests

  const pictures = () => columns().flatMap((column) => column.framed());

  function apply() {
    const { zoom } = view;
    zoom.x = Math.min(0, Math.max(1 - zoom.scale, zoom.x));
    zoom.y = Math.min(0, Math.max(1 - zoom.scale, zoom.y));
    const moved = `translate(${zoom.x * 100}%, ${zoom.y * 100}%) scale(${zoom.scale})`;
    const transform = zoom.scale === 1 ? "" : moved;
    for (const canvas of pictures().flatMap((p) => [p.canvas, p.original || []].flat()))
      canvas.style.transform = transform;
    root.classList.toggle("rv-zoomed", zoom.scale > 1);
    root.querySelector(".rv-reset").disabled = zoom.scale === 1;
    probe.again();
    changed();
  }

  function applyWipe() {
    const { wipe } = view;
    for (const picture of pictures().filter((p) => p.handle)) {
      picture.canvas.parentElement.style.clipPath = `inset(0 0 0 ${wipe * 100}%)`;
      picture.handle.style.left = `${wipe * 100}%`;
      picture.handle.setAttribute("aria-valuenow", Math.round(wipe * 100));
    }
    changed();
  }

  // The point under (u, v), in fractions of the frame, stays where it is.
  function zoomBy(factor, u = 0.5, v = 0.5) {
    const { zoom } = view;
    const scale = Math.min(MAX_ZOOM, Math.max(1, zoom.scale * factor));
    zoom.x = u - ((u - zoom.x) / zoom.scale) * scale;
    zoom.y = v - ((v - zoom.y) / zoom.scale) * scale;
    zoom.scale = scale;
    apply();
  }

  function panBy(u, v) {
    view.zoom.x += u;
    view.zoom.y += v;
    apply();
  }

  function reset() {
    Object.assign(view.zoom, { scale: 1, x: 0, y: 0 });
    apply();
  }

  function setWipe(u) {
    view.wipe = Math.min(1, Math.max(0, u));
    applyWipe();
  }

  const probe = newProbe(root, model, view, columns);

  const frameOf = (event) => event.target.closest?.(".rv-frame");

  function place(frame, event) {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  const area = root.querySelector(".rv-columns");

  area.addEventListener("wheel", (event) => {
    const frame = frameOf(event);
    // At no zoom, scrolling back belongs to the page.
    if (!frame || (view.zoom.scale === 1 && event.deltaY > 0)) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...place(frame, event));
  }, { passive: false });

  area.addEventListener("dblclick", (event) => frameOf(event) && reset());

  // A click without a drag chooses a position for the opened metric.
  let pressed = [0, 0];
  area.addEventListener("pointerdown", (event) => { pressed = [event.clientX, event.clientY]; });
  area.addEventListener("click", (event) => {
    const frame = frameOf(event);
    if (!view.inside || !frame || Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 4) return;
    choose(...place(frame, event));
  });

  // The middle of the pixel, which an address names.
  function choose(u, v) {
    const middle = (t, size) => (Math.min(size - 1, Math.max(0, Math.floor(t * size))) + 0.5) / size;
    const { zoom: { x, y, scale } } = view, { width, height } = model.meta;
    act({ place: [middle((u - x) / scale, width), middle((v - y) / scale, height)] });
  }

  // A mouse wipes anywhere on the attacked picture. A finger wipes by the handle, so that it can swipe the columns.
  area.addEventListener("pointerdown", (event) => {
    const frame = frameOf(event);
    const isTouch = event.pointerType === "touch";
    if (isTouch) probe.hide();
    if (!frame || event.button !== 0) return;
    pointers.set(event.pointerId, event);
    const onHandle = event.target.closest(".rv-handle");
    const wipes = onHandle || (!isTouch && view.zoom.scale === 1 && frame.querySelector(".rv-handle"));
    drag = pointers.size > 1 ? "pinch" : wipes ? "wipe" : "pan";
    frame.setPointerCapture(event.pointerId);
    if (onHandle) onHandle.focus({ preventScroll: true });
    if (drag === "wipe" && !isTouch) setWipe(place(frame, event)[0]);
    clearTimeout(hold);
    if (isTouch && drag === "pan") hold = setTimeout(() => {
      drag = "read";
      probe.at(...place(frame, event));
    }, HOLD_MS);
  });

  area.addEventListener("pointermove", (event) => {
    const frame = frameOf(event);
    const isTouch = event.pointerType === "touch";
    if (!frame) return isTouch || probe.hide();
    if (!isTouch || drag === "read") probe.at(...place(frame, event));
    const last = pointers.get(event.pointerId);
    if (!last || drag === "read") return;
    if (Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > STILL) clearTimeout(hold);
    const [u, v] = place(frame, event);
    const [lastU, lastV] = place(frame, last);
    if (drag === "wipe") setWipe(u);
    if (drag === "pan" && view.zoom.scale > 1) panBy(u - lastU, v - lastV);
    if (drag === "pinch") pinch(frame, event);
    pointers.set(event.pointerId, event);
  });

  // A finger that reads does not scroll, nor opens a menu; what it read stays until the next touch.
  area.addEventListener("touchmove", (event) => { if (drag === "read") event.preventDefault(); }, { passive: false });
  area.addEventListener("contextmenu", (event) => { if (drag === "read") event.preventDefault(); });

  function pinch(frame, event) {
    const other = [...pointers.values()].find((p) => p.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
    const [u, v] = place(frame, event);
    const [otherU, otherV] = place(frame, other);
    zoomBy(apart(event) / apart(pointers.get(event.pointerId)), (u + otherU) / 2, (v + otherV) / 2);
  }

  for (const name of ["pointerup", "pointercancel"])
    area.addEventListener(name, (event) => {
      clearTimeout(hold);
      pointers.delete(event.pointerId);
      drag = pointers.size ? drag : null;
    });

  area.addEventListener("pointerleave", ({ pointerType }) => pointerType === "touch" || probe.hide());

  area.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!frameOf(event)) return;
    if (event.target.matches(".rv-handle") && turn) setWipe(view.wipe + (turn[0] - turn[1]) * 0.02);
    else if (event.key === "+" || event.key === "=") zoomBy(1.4);
    else if (event.key === "-") zoomBy(1 / 1.4);
    else if (event.key === "Enter" && view.inside) choose(0.5, 0.5);
    else if (event.key === "Escape" && view.zoom.scale > 1) reset();
    else if (turn && view.zoom.scale > 1) panBy(-turn[0] * 0.1, -turn[1] * 0.1);
    else if (turn?.[0]) act({ step: view.step + turn[0] });
    else return;
    event.preventDefault();
  });

  root.querySelector(".rv-reset").addEventListener("click", reset);

  return { refresh() { apply(); applyWipe(); }, reset, probeAgain: probe.again };
}
