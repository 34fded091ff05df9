// The part "More" of a page's controls: open or folded, as an address or the visitor says.

import { MORE } from "./address_text.js";
import { watchArea } from "./area.js";

// `changed` is called when the visitor opens one, or folds it. Returns {isOpen(page), set(page, isOpen)}.
export function newMore(changed) {
  const open = {};

  // As soon as it is there.
  function set(page, isOpen) {
    open[page] = isOpen;
    const button = document.querySelector(`${MORE[page]} .label-wrap`);
    if (button && button.matches(".open") !== isOpen) button.click();
  }

  document.addEventListener("click", ({ target }) => {
    const page = Object.keys(MORE).find((each) => target.closest?.(`${MORE[each]} .label-wrap`));
    if (!page) return;
    open[page] = !target.closest(".label-wrap").matches(".open");
    changed();
  }, { capture: true });              // before it has opened
  for (const page of Object.keys(MORE)) watchArea(MORE[page], () => set(page, Boolean(open[page])));

  return { isOpen: (page) => Boolean(open[page]), set };
}
