// The sections of a long page, each below its heading: in a narrow window they are folded until the visitor opens them,
// in a wide one all of them are open.

import { PHONE } from "./narrow.js";

const seen = new WeakSet();
const opened = new Set();             // ids of the blocks whose sections the visitor has opened: they may be made anew

const blockOf = (section) => section.closest(".block").id;

// Lay out the sections that are new.
export function layFolds(sections = [...document.querySelectorAll("details.fold")].filter((each) => !seen.has(each))) {
  for (const section of sections) {
    seen.add(section);
    section.open = !PHONE.matches || opened.has(blockOf(section));
    section.firstElementChild.tabIndex = PHONE.matches ? 0 : -1;
  }
}

export function mountFolds() {
  document.addEventListener("toggle", ({ target }) => {
    if (!PHONE.matches || !target.matches?.("details.fold")) return;
    if (target.open) opened.add(blockOf(target));
    else opened.delete(blockOf(target));
  }, { capture: true });              // it does not bubble
  PHONE.addEventListener("change", () => layFolds([...document.querySelectorAll("details.fold")]));
}
