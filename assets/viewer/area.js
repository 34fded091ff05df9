// An area of the page that Gradio makes late, and anew whenever it likes.

const LOOK_MS = 300;

// Calls `react` when the area at a CSS selector is there, and after each change in it.
export function watchArea(selector, react) {
  let watched = null;
  (function look() {
    const area = watched?.isConnected ? watched : document.querySelector(selector);
    if (area && area !== watched) {
      watched = area;
      new MutationObserver(react).observe(area, { subtree: true, childList: true, attributes: true,
        attributeFilter: ["class", "aria-selected"] });
      react();
    }
    setTimeout(look, LOOK_MS);
  })();
}
