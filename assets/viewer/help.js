// A "?" beside a control or a part of the viewer: one or two sentences, and where to read more.

import { make } from "./dom.js";

const LOOK_MS = 1000;                 // Gradio shows parts of the page late, and builds some anew

// `entries`: each {at, name, text, more}; `at` is the CSS selector of the place, `more` an address on this page.
export function mountHelp(entries) {
  const made = entries.map((entry) => ({ entry, ...newHelp(entry) }));
  (document.querySelector("main") ?? document.body).append(...made.map(({ box }) => box));
  (function look() {
    for (const { entry, button } of made) {
      const place = button.isConnected ? null : document.querySelector(entry.at);
      if (place) { place.classList.add("has-help"); place.append(button); }
    }
    setTimeout(look, LOOK_MS);
  })();
}

function newHelp({ name, text, more }) {
  const box = make("div", { className: "help-box", popover: "auto", role: "note" });
  const button = make("button", { type: "button", className: "help", textContent: "?", ariaLabel: `What is ${name}?` });
  const link = make("a", { href: more, textContent: "How it works" });
  box.append(make("p", { textContent: text }), link);
  button.popoverTargetElement = box;
  link.addEventListener("click", (event) => {
    event.preventDefault();           // Gradio's <base> would make it another page
    box.hidePopover();
    location.hash = more;
  });
  box.addEventListener("toggle", ({ newState }) => {
    if (newState !== "open") return;
    const { left, bottom, top } = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = box;
    const below = bottom + 6 + height < innerHeight;
    box.style.left = `${Math.max(8, Math.min(left - 12, innerWidth - width - 8))}px`;
    box.style.top = `${below ? bottom + 6 : Math.max(8, top - height - 6)}px`;
  });
  return { box, button };
}
