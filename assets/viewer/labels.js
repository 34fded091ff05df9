// What Gradio's own parts lack: the names of its buttons say less than what is in them ("Thumbnail 1 of 8", where the
// picture's name is), and a wide table is not reached by keyboard.

const LOOK_MS = 300;                  // Gradio shows parts of the page late, and builds some anew
const NAMED_WITHIN = ".thumbnail-item[aria-label], button[aria-dropeffect][aria-label]";
const TWICE = "#recorded .thumbnail-item img:not([alt=''])";  // its caption is on show beside it

export function mountLabels() {
  (function look() {
    for (const button of document.querySelectorAll(NAMED_WITHIN)) button.removeAttribute("aria-label");
    for (const image of document.querySelectorAll(TWICE)) image.alt = "";
    for (const table of document.querySelectorAll(".prose-page table"))
      if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    setTimeout(look, LOOK_MS);
  })();
}
