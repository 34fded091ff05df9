// The menus of the viewer, and the receipt of a run; downloads.js has the other one.

import { make } from "./dom.js";

export function writeReceipt(root, model) {
  const receipt = Object.entries(model.meta.receipt || {});
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  root.querySelector(".rv-receipt").hidden = !receipt.length;
  root.querySelector(".rv-receipt dl").replaceChildren(...receipt.flatMap(([key, value]) =>
    [make("dt", { textContent: key.replaceAll("_", " ") }), make("dd", { textContent: text(value) })]));
}

// A menu closes when the focus leaves it, and with Escape.
export function closeOutside(menu) {
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();           // the projector and the story stay
  });
}
