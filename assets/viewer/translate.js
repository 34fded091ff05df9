// The page in another language: a layer above it. The page goes on in English; its texts are replaced as they appear,
// in the same task and so before anybody sees them, and the English is kept.
//
// A key of the catalogue is a whole text, or a whole block with the elements in it as numbered tags:
// "<p>A <b>bold</b> word</p>" is "A <1>bold</1> word". A translation may put the tags in another order; the elements
// themselves are moved, so what listens to them goes on. What is not translated within a block is a tag without an end,
// <1/>.

import { hasWords, isEnglish, newPhrases } from "./phrases.js";

const ATTRIBUTES = ["title", "aria-label", "placeholder", "alt", "aria-valuetext"];
const LEFT = "script, style, noscript, textarea, code, pre, kbd, bdi, cite, [translate=no], [contenteditable=true], "
  + ".katex";
const INLINE = new Set("a b strong em i u s sub sup br span small mark abbr code kbd bdi cite q".split(" "));
const OPAQUE = new Set("img svg canvas input button select output".split(" "));
const LOOK_MS = 300;
const TAG = /<(\/?)(\d+)(\/?)>/;

let translate = () => null;
let observer = null;
const written = new WeakMap();        // text -> { english, now }
const attributes = new WeakMap();     // element -> { name: { english, now } }
const orders = new WeakMap();         // element of a translated block -> its nodes in English
const added = new WeakSet();          // texts that only the translation needs

// From now on the page is in the language of these texts; with none it is in English again.
export function speak(texts) {
  translate = newPhrases(texts);
  if (observer) observer.disconnect();
  else setInterval(sayChoices, LOOK_MS);
  observer ??= new MutationObserver(hear);
  work(document.documentElement);
  sayChoices();
  observer.observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributes: true,
    attributeFilter: ATTRIBUTES });
}

// A text for a canvas.
export const translated = (text) => translate(text) ?? text;

// The English text of a node, whatever language the page is in.
export function englishOf(node) {
  if (node.nodeType === Node.TEXT_NODE) return englishText(node);
  return node.nodeType === Node.ELEMENT_NODE ? nodesOf(node).map(englishOf).join("") : "";
}

function hear(records) {
  const dirty = new Set();
  for (const { type, target, attributeName, addedNodes } of records) {
    if (type === "attributes") { if (!isLeft(target)) workAttribute(target, attributeName); }
    else if (type === "characterData") dirty.add(blockAround(target.parentElement));
    else if (orders.has(target) || isMixed(target)) dirty.add(blockAround(target));
    else for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) dirty.add(node);
  }
  for (const element of dirty)
    if (element?.isConnected && !isLeft(element) && !hasAncestor(element, dirty)) work(element);
  observer.takeRecords();             // those of our own
}

const isLeft = (element) => Boolean(element.closest(LEFT));

function hasAncestor(element, set) {
  for (let above = element.parentElement; above; above = above.parentElement) if (set.has(above)) return true;
  return false;
}

// The block that an inline element belongs to.
function blockAround(element) {
  let block = element;
  while (block?.parentElement && INLINE.has(block.localName) && isMixed(block.parentElement))
    block = block.parentElement;
  return block;
}

const isMixed = (element) => {
  for (let node = element.firstChild; node; node = node.nextSibling)
    if (node.nodeType === Node.TEXT_NODE && (written.has(node) || node.data.trim())) return true;
  return INLINE.has(element.localName);
};

function work(element) {
  if (element.matches(LEFT)) return;
  for (const name of ATTRIBUTES) if (element.hasAttribute(name)) workAttribute(element, name);
  const key = keyOf(element);
  const made = key && translate(key);
  if (made) fillBlock(element, made);
  else if (orders.has(element)) restore(element);
  for (let node = element.firstChild; node; node = node.nextSibling) {
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (!made || OPAQUE.has(node.localName)) work(node);
      else workAttributes(node);
    } else if (node.nodeType === Node.TEXT_NODE && !made) workText(node);
  }
}

function workAttributes(element) {
  for (const name of ATTRIBUTES) if (element.hasAttribute(name)) workAttribute(element, name);
  for (const child of element.children) if (OPAQUE.has(child.localName)) work(child); else workAttributes(child);
}

// ---- texts

const clean = (text) => text.replace(/\s+/g, " ").trim();

const englishText = (node) => {
  const record = written.get(node);
  return record?.now === node.data ? record.english : node.data;
};

function write(node, now) {
  const english = englishText(node);
  if (now === english) written.delete(node);
  else written.set(node, { english, now });
  if (node.data !== now) node.data = now;
}

function workText(node) {
  const english = englishText(node);
  const made = hasWords(english) ? translate(clean(english)) : null;
  if (made) write(node, english.match(/^\s*/)[0] + made + english.match(/\s*$/)[0]);
  else if (written.has(node)) write(node, english);
}

function workAttribute(element, name) {
  const all = attributes.get(element) ?? attributes.set(element, {}).get(element);
  const value = element.getAttribute(name);
  if (value === null) return;
  const english = all[name]?.now === value ? all[name].english : value;
  const now = translate(clean(english)) ?? english;
  all[name] = { english, now };
  if (now !== value) element.setAttribute(name, now);
}

// ---- blocks

// The nodes of an element as they are in English.
function nodesOf(element) {
  const order = orders.get(element);
  const now = [...element.childNodes].filter((node) => !added.has(node));
  if (!order) return now;
  return [...order.filter((node) => node.parentNode === element), ...now.filter((node) => !order.includes(node))];
}

// The key of a block: null if the element is none, with a text of its own and nothing but inline elements within.
function keyOf(element) {
  let [hasText, hasElement] = [false, false];
  for (const node of nodesOf(element)) {
    if (node.nodeType === Node.TEXT_NODE) hasText ||= hasWords(englishText(node));
    else if (node.nodeType === Node.ELEMENT_NODE) {
      if (!isInline(node)) return null;
      hasElement = true;
    }
  }
  return hasText && hasElement ? clean(serialize(element, { n: 0 })) : null;
}

function isInline(element) {
  if (isOpaque(element)) return true;
  return INLINE.has(element.localName) && [...element.children].every(isInline);
}

const isOpaque = (element) => OPAQUE.has(element.localName) || element.matches(LEFT);

function serialize(element, count) {
  return nodesOf(element).map((node) => {
    if (node.nodeType === Node.TEXT_NODE) return englishText(node);
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    const n = ++count.n;
    const inner = isOpaque(node) ? "" : serialize(node, count);
    return inner ? `<${n}>${inner}</${n}>` : `<${n}/>`;
  }).join("");
}

function fillBlock(root, made) {
  const elements = [root];            // by their numbers in the key
  (function count(element) {
    for (const node of nodesOf(element)) {
      if (node.nodeType !== Node.ELEMENT_NODE) continue;
      elements.push(node);
      if (!isOpaque(node)) count(node);
    }
  })(root);
  const parts = made.split(TAG);      // text, slash, number, slash, text, …
  const stack = [{ element: root, content: [] }];
  if (parts[0]) stack[0].content.push(parts[0]);
  const done = [];
  for (let i = 1; i < parts.length; i += 4) {
    const [isEnd, n, isEmpty, text] = [parts[i], Number(parts[i + 1]), parts[i + 2], parts[i + 3]];
    const element = elements[n];
    if (!element) return;
    if (isEnd) { if (stack.length > 1) done.push(stack.pop()); }
    else {
      stack.at(-1).content.push(element);
      if (!isEmpty) stack.push({ element, content: [] });
    }
    if (text) stack.at(-1).content.push(text);
  }
  for (const { element, content } of [...done, ...stack]) arrange(element, content);
}

// Give an element its content, texts and elements. Its own texts are used again: who made them may write to them.
function arrange(element, content) {
  const nodes = nodesOf(element);
  orders.set(element, nodes);
  const spare = [...nodes, ...[...element.childNodes].filter((node) => added.has(node))]
    .filter((node) => node.nodeType === Node.TEXT_NODE);
  const wanted = content.map((part) => {
    if (typeof part !== "string") return part;
    const node = spare.shift() ?? document.createTextNode("");
    if (!nodes.includes(node)) added.add(node);
    write(node, part);
    return node;
  });
  for (const node of spare) { if (added.has(node)) node.remove(); else write(node, ""); }
  const all = [...wanted, ...nodes.filter((node) => !wanted.includes(node))];
  if (all.some((node, i) => node !== element.childNodes[i])) element.append(...all);
}

function restore(element) {
  const nodes = nodesOf(element);
  for (const node of [...element.childNodes]) if (added.has(node)) node.remove();
  if (nodes.some((node, i) => node !== element.childNodes[i])) element.append(...nodes);
  orders.delete(element);
}

// ---- choices

// Gradio's dropdowns show their choice as the value of an input, which is theirs: language.css lays the translation
// over it.
function sayChoices() {
  for (const input of document.querySelectorAll("input[role=combobox]")) {
    const made = translate(clean(input.value));
    const frame = input.parentElement;
    if (!made) frame.removeAttribute("data-said");
    else if (frame.dataset.said !== made) frame.dataset.said = made;
  }
}

// ---- what is missing

// The keys of all texts of the page, and of `more` texts, that are in English still; or only of those with two words in
// a row, which no name has. For tests, and for whoever writes a catalogue.
export function missing(withNames, more) {
  const found = new Set();
  const isBad = (text) => (withNames ? hasWords(text) && !translate(text) : isEnglish(translate(text) ?? text));
  const look = (text) => { if (isBad(clean(text))) found.add(clean(text)); };
  (function walk(element) {
    if (element.matches(LEFT)) return;
    for (const name of ATTRIBUTES) if (element.hasAttribute(name)) look(attributes.get(element)?.[name]?.english ?? "");
    const key = keyOf(element);
    if (key && translate(key)) { look(key); return; }
    const texts = nodesOf(element).filter((node) => node.nodeType === Node.TEXT_NODE).map(englishText);
    if (key && texts.some((text) => isBad(clean(text)))) { found.add(key); return; }
    for (const text of texts) look(text);
    for (const child of element.children) walk(child);
  })(document.documentElement);
  for (const text of more) look(text);
  return [...found];
}
