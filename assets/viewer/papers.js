// Below the sources in "How it works": their BibTeX, to copy and as a file.

import { newCopy } from "./copy.js";
import { make } from "./dom.js";

// `address` is Gradio's.
export function mount({ element, address }) {
  const url = address("viewer/export/papers.bib");
  element.querySelector(".papers").replaceChildren(newCopy("Copy BibTeX", () => url),
    make("a", { href: url, download: "", textContent: "All of them as a .bib file" }));
}
