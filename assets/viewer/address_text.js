// An address as text, `#page?key=value&…`: read and written. Nothing in this file touches the page.
//
// The vocabulary comes from Python (rlpips.ui.runtime.address): `pages`, names, first the one that opens; `keys`, of
// each page those of its controls; `languages`. The keys of a viewer are in view_address.js, and `hide` and `lang` are
// those of every page.

import { PAIRS_KEYS } from "./pairs_address.js";
import { VIEW_KEYS } from "./view_address.js";

const OWN_KEYS = { pairs: PAIRS_KEYS };       // of a page whose view is no viewer's

const LONGEST = 2000;                 // characters of an address that is read
const HOW = "how-";                   // #how-the-attack is the page "how", at its heading "The attack"

// The story is on the first page: which scene, and where its file is if it is not the lesson that comes with the page.
const STORY = "story";
const STORY_KEYS = {
  scene: (text) => (/^[1-9]\d?$/.test(text) ? Number(text) : undefined),
  from: (text) => text || undefined,
};

// What `hide=` can leave out, beside the control of any key.
const PARTS = {
  title: "#masthead header", tabs: "#pages > .tab-wrapper",
  controls: ".controls > :not(.stays)", run: ".controls > .stays",
  curves: ".rv-curves", numbers: ".rv-numbers", bar: ".rv-bar",
};

// The part "More" of a page's controls, which is folded as the page opens.
export const MORE = { duel: "#more", pairs: "#pairs-more", classifier: "#fool-more" };

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
// what is hidden, whether "More" is open, and what cannot be read, a sentence each; `story` is {scene, from}, null
// without one.
export function parse(hash, { pages, keys, languages = [] }) {
  const address = { page: pages[0], anchor: "", texts: {}, view: {}, hide: [], more: false, lang: "", faults: [],
    story: null };
  if (hash.length > LONGEST) return { ...address, faults: [`it has more than ${LONGEST} characters`] };
  const [name, query] = split(hash.replace(/^#/, ""), "?");
  if (name.startsWith(HOW) && pages.includes("how"))
    Object.assign(address, { page: "how", anchor: name.slice(HOW.length) });
  else if (name === STORY) address.story = { scene: 1, from: "" };
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
  } else if (key === "more" && MORE[address.page] && !address.story) {
    address.more = text === "1";
    if (!address.more) address.faults.push(`more cannot be ${text || "empty"}`);
  } else if (address.story) {
    const value = Object.hasOwn(STORY_KEYS, key) ? STORY_KEYS[key](text) : undefined;
    if (value !== undefined) address.story[key] = value;
    else address.faults.push(Object.hasOwn(STORY_KEYS, key) ? `${key} cannot be ${text || "empty"}`
      : `the story has no key ${key}`);
  } else if (Object.hasOwn(OWN_KEYS[address.page] ?? VIEW_KEYS, key)) {
    const value = (OWN_KEYS[address.page] ?? VIEW_KEYS)[key].read(text);
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
export function format({ page, anchor, texts, view, hide, more, lang, story }) {
  const frame = { ...(hide.length ? { hide: hide.join(",") } : {}), ...(lang ? { lang } : {}) };
  if (story) {
    const { scene, from } = story;
    const of = { ...(scene > 1 ? { scene } : {}), ...(from ? { from } : {}) };
    return `#${STORY}${queryText({ ...of, ...frame })}`;
  }
  const opened = more ? { more: 1 } : {};
  return `#${page}${anchor && `-${anchor}`}${queryText({ ...texts, ...opened, ...view, ...frame })}`;
}

function queryText(parts) {
  const text = String(new URLSearchParams(parts)).replaceAll("%2C", ",");
  return text && `?${text}`;
}
