// An address as text, `#page?key=value&…`: read and written. Nothing in this file touches the page.
//
// The vocabulary comes from Python (rlpips.ui.runtime.address): `pages`, names, first the one that opens; `keys`, of
// each page those of its controls; `languages`. The keys of a viewer are in view_address.js, and `hide` and `lang` are
// those of every page.

import { VIEW_KEYS } from "./view_address.js";

const LONGEST = 2000;                 // characters of an address that is read
const HOW = "how-";                   // #how-the-attack is the page "how", at its heading "The attack"

// What `hide=` can leave out, beside the control of any key.
const PARTS = {
  title: "#masthead header", tabs: "#pages > .tab-wrapper",
  controls: ".controls > :not(.stays)", run: ".controls > .stays",
  curves: ".rv-curves", numbers: ".rv-numbers", bar: ".rv-bar",
};

// Texts of a page's keys with the defaults, and without. A default may go by the text of an earlier key.
export function completed(keys, texts) {
  const all = {};
  for (const key of keys) all[key.name] = texts[key.name] ?? defaultText(key, all);
  return all;
}

export function shortened(keys, all) {
  const changed = keys.filter((key) => all[key.name] !== defaultText(key, all));
  return Object.fromEntries(changed.map(({ name }) => [name, all[name]]));
}

const defaultText = (key, all) => (key.by ? key.default[all[key.by]] : key.default);

export const isSame = (keys, one, other) =>
  Boolean(one && other) && keys.every(({ name }) => one[name] === other[name]);

// An address: its page, the heading on it, texts for the keys of its controls, which Python checks, values of the view,
// what is hidden, and what cannot be read, a sentence each.
export function parse(hash, { pages, keys, languages = [] }) {
  const address = { page: pages[0], anchor: "", texts: {}, view: {}, hide: [], lang: "", faults: [] };
  if (hash.length > LONGEST) return { ...address, faults: [`it has more than ${LONGEST} characters`] };
  const [name, query] = split(hash.replace(/^#/, ""), "?");
  if (name.startsWith(HOW) && pages.includes("how"))
    Object.assign(address, { page: "how", anchor: name.slice(HOW.length) });
  else if (pages.includes(name)) address.page = name;
  else if (name) return { ...address, faults: [`there is no page ${name}`] };
  for (const [key, text] of new URLSearchParams(query)) take(address, key, text, keys, languages);
  return address;
}

function take(address, key, text, keys, languages) {
  if (key === "hide") {
    const names = text.split(",").filter(Boolean);
    address.hide = names.filter((part) => selectorOf(part, keys));
    address.faults.push(...names.filter((part) => !selectorOf(part, keys)).map((part) => `hide knows no ${part}`));
  } else if (key === "lang") {
    if (languages.some(({ code }) => code === text)) address.lang = text;
    else address.faults.push(`lang knows no ${text || "empty"}`);
  } else if (Object.hasOwn(VIEW_KEYS, key)) {
    const value = VIEW_KEYS[key].read(text);
    if (value === undefined) address.faults.push(`${key} cannot be ${text || "empty"}`);
    else address.view[key] = value;
  } else if (keys[address.page]) address.texts[key] = text;
  else address.faults.push(`there is no key ${key}`);
}

function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

// The CSS selector of what a name of `hide=` leaves out; undefined for a name that is none.
export function selectorOf(name, keys) {
  if (Object.hasOwn(PARTS, name)) return PARTS[name];
  const key = Object.values(keys).flat().find((each) => each.name === name);
  return key && `#${key.control}`;
}

// `texts` has the page's keys, and `view` the viewer's, without the defaults.
export function format({ page, anchor, texts, view, hide, lang }) {
  const frame = { ...(hide.length ? { hide: hide.join(",") } : {}), ...(lang ? { lang } : {}) };
  const query = new URLSearchParams({ ...texts, ...view, ...frame });
  const text = String(query).replaceAll("%2C", ",");
  return `#${page}${anchor && `-${anchor}`}${text && `?${text}`}`;
}
