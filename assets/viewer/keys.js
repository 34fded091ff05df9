// The keyboard: Ctrl+Enter runs, ? lists the keys, and the pictures and the tabs are one stop each, arrows move within.

import { watchArea } from "./area.js";

const RUN = {
  duel: "#run", inspect: "#compare", pairs: "#pairs-run", robustness: "#sweep-run", classifier: "#fool-run",
};
const ROVING = [
  ...["#samples", "#fool-samples", "#sweep-samples", "#recorded"].map((grid) => [grid, ".thumbnail-item"]),
  ["#pages > .tab-wrapper", "[role=tab]"],
];
const TURN = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

// `page()` is the page that is open.
export function mountKeys(root, page) {
  const dialog = root.querySelector("#keys-dialog");
  const run = () => document.querySelector(RUN[page()] ?? "#none");

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.target.blur?.();          // a number that is being typed counts
      setTimeout(() => run()?.click());
      event.preventDefault();
    } else if (event.key === "?" && !event.target.closest("input:not([type=range]), textarea, select")) {
      dialog.showModal();
      event.preventDefault();
    } else if (TURN[event.key]) rove(event);
  });
  root.querySelector("#keys").addEventListener("click", () => dialog.showModal());
  root.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();           // the part after # is the page's address
    (run() ?? document.querySelector("#pages [role=tabpanel]:not([hidden])"))?.focus();
  });

  for (const list of ROVING) watchArea(list[0], () => makeOneStop(list));
}

const itemsOf = ([area, item]) => [...document.querySelectorAll(`${area} ${item}`)];

function makeOneStop(list) {
  const items = itemsOf(list);
  const here = items.includes(document.activeElement) ? document.activeElement
    : items.find((each) => each.matches(".selected, [aria-selected=true]")) ?? items[0];
  for (const each of items) if (each.tabIndex !== (each === here ? 0 : -1)) each.tabIndex = each === here ? 0 : -1;
}

function rove(event) {
  for (const list of ROVING) {
    const items = itemsOf(list);
    const next = items[items.indexOf(event.target) + TURN[event.key]];
    if (!items.includes(event.target) || !next) continue;
    next.focus();
    makeOneStop(list);
    event.preventDefault();
  }
}
