// The language of the page: what the address says, else what the visitor chose before, else what the browser prefers.
// English is what the page is written in: in English nothing is loaded, and nothing is watched.

import { make } from "./dom.js";

const REMEMBERED = "lang";            // in the browser's storage

let layer = null;                     // translate.js, once another language was asked for

// The English text of a node, whatever language the page is in.
export const english = (node) => (node && layer ? layer.englishOf(node) : node?.textContent) ?? "";

// A text that a canvas draws, in the language of the page; the event "page-language" says when to draw again.
export const said = (text) => layer?.translated(text) ?? text;

// `languages`: each {code, name, short, lang}, first English; `lang` is what the page's <html> says. `addressOf` makes
// the address of a file of the server, and `changed` is called when the visitor has chosen.
export function newLanguage(root, languages, addressOf, changed) {
  const codes = languages.map(({ code }) => code);
  let asked = "";                     // by the address or the visitor, during this visit
  let spoken = codes[0];

  const buttons = languages.map(({ code, name, short, lang }) =>
    make("button", { type: "button", lang, onclick: () => choose(code) },
      make("span", { textContent: name }), make("span", { className: "short", textContent: short })));
  root.querySelector(".languages").append(...buttons);

  function choose(code) {
    asked = code;
    remember(code);
    speak(code);
    changed();
  }

  async function speak(code) {
    const before = spoken;
    spoken = code;
    mark();
    if (code === codes[0] && !layer) return;
    try {
      const [module, texts] = await Promise.all([import("./translate.js"), code === codes[0] ? {} : load(code)]);
      layer = module;
      if (spoken === code) { layer.speak(texts); document.dispatchEvent(new Event("page-language")); }
    } catch {                         // the server is away: the page stays as it is
      if (spoken === code) spoken = before;
      mark();
    }
  }

  async function load(code) {
    const answer = await fetch(addressOf(`text/${code}`));
    if (!answer.ok) throw new Error(`no texts (${answer.status})`);
    return answer.json();
  }

  function mark() {
    const place = codes.indexOf(spoken);
    const page = document.documentElement, { lang } = languages[place];
    // "en-US" may stay for "en": a change of it makes the browser style the whole page anew.
    if (page.lang.split("-")[0] !== lang) page.lang = lang;
    buttons.forEach((button, i) => { button.setAttribute("aria-pressed", i === place); });
  }

  const ofBrowser = () => (navigator.languages ?? []).map((tag) => tag.toLowerCase().split("-")[0])
    .find((tag) => codes.includes(tag));

  return {
    // What an address says: a code, or "" for nothing.
    take(code) {
      if (code) asked = code;
      if (code && code !== spoken) speak(code);
    },
    start() {
      const first = asked || [remembered()].find((code) => codes.includes(code)) || ofBrowser() || codes[0];
      if (first === spoken) mark(); else speak(first);
    },
    asked: () => asked,
  };
}

// The browser may keep nothing, or refuse.
function remembered() {
  try { return localStorage.getItem(REMEMBERED); } catch { return null; }
}

function remember(code) {
  try { localStorage.setItem(REMEMBERED, code); } catch { /* then the next visit starts anew */ }
}
