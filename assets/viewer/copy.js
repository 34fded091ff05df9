// A button that copies a text of the server.

import { make } from "./dom.js";

const SAID_MS = 2500;

// `address()` is that of the text. Where the browser does not let a page copy, the text is saved as a file instead.
export function newCopy(text, address) {
  const button = make("button", { type: "button", className: "rv-button", textContent: text });
  button.setAttribute("aria-live", "polite");
  let timer = 0;

  function say(said) {
    button.textContent = said;
    clearTimeout(timer);
    timer = setTimeout(() => { button.textContent = text; }, SAID_MS);
  }

  button.addEventListener("click", async () => {
    const url = address();
    try {
      await copyFrom(url);
      say("Copied");
    } catch {
      make("a", { href: url, download: "" }).click();
      say("Saved as a file");
    }
  });
  return button;
}

// The text is promised and not awaited: Safari lets a page copy only while the click is handled.
async function copyFrom(url) {
  const text = fetch(url).then((response) => {
    if (!response.ok) throw new Error(response.statusText);
    return response.text();
  });
  if (!window.ClipboardItem) return navigator.clipboard.writeText(await text);
  const blob = text.then((value) => new Blob([value], { type: "text/plain" }));
  return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
}
