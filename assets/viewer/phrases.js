// A catalogue: English texts and what they are in another language. Nothing in this file touches the page.
//
// A key may have places: `{1}` takes any words within a sentence, which are translated by themselves; `{=1}` words that
// stand as they are, such as a visitor's name of a file; `{#1}` a number.
// A text without a key of its own is taken apart into sentences, and these at · and ; and commas.

const LONGEST = 4000;                 // characters of a text that is looked up
const ENOUGH = 8;                     // characters of a pattern that stands although a place in it stays English
const REMEMBERED = 4000;              // texts
const PLACE = /\{([#=]?)(\d)\}/g;
const NUMBER = /^[×÷≤<>±+−-]?[\s\u00a0]?(?:\d+(?:[.,]\d+)*(?:e[-+]?\d+)?|∞|–)(?:[\s\u00a0]?%)?$/;
const ENDS = /[.!?] [A-Z]/;           // no place holds the end of a sentence
// Where a text is taken apart, and what joins the parts: a list has a join of its own.
const PARTS = [[/(?<=[.!?…✓✗]) (?=\S)/, ""], [" · ", " · "], ["; ", "；"], [", ", null], [/, | and /, "、"]];

// What is worth translating has a word in it.
export const hasWords = (text) => /[A-Za-z]{2}/.test(text);
// Names and numbers stand as they are in every language; two words in a row do not. The two letters at the end of one
// word and at the start of the next say it: a pattern of whole words takes seconds for thousands of letters in a row.
export const isEnglish = (text) => /[A-Za-z]{2}(?:['’][a-z]*)? +[a-z]{2}/.test(text);

export function newPhrases(texts) {
  const exact = new Map();
  const [byFirst, byLast, others] = [new Map(), new Map(), []];
  const known = new Map();            // text -> its translation
  for (const [key, value] of Object.entries(texts)) {
    if (key.search(PLACE) < 0) exact.set(key, value);
    else file(pattern(key, value));
  }

  // A pattern is filed under its first word or, where that has a place, under its last.
  function file(one) {
    const [first, last] = [firstWord(one.key), lastWord(one.key)];
    const [index, word] = !first.includes("{") ? [byFirst, first] : !last.includes("{") ? [byLast, last] : [];
    const list = index ? index.get(word) ?? index.set(word, []).get(word) : others;
    list.push(one);
    list.sort((a, b) => b.weight - a.weight);
  }

  // The patterns that a text fits, those with the most words of their own first.
  function fitting(text) {
    const fitting = [];
    for (const list of [byFirst.get(firstWord(text)), byLast.get(lastWord(text)), others])
      for (const one of list ?? []) {
        const words = wordsIn(one, text);
        if (words) fitting.push({ one, words });
      }
    return fitting.sort((a, b) => b.one.weight - a.one.weight);
  }

  // A translation is { text, isWhole }: whole if no English is left in it.
  function fill({ one, words }) {
    let [isWhole, isMade] = [true, /[A-Za-z]/.test(one.key.replace(PLACE, ""))];
    const text = one.value.replace(PLACE, (_, __, n) => {
      const place = one.places.findIndex((each) => each.n === n);
      const made = one.places[place].kind ? as(words[place]) : translate(words[place]);
      isWhole &&= made.isWhole;
      isMade ||= made.isMade;
      return made.text;
    });
    return isMade && (isWhole || one.weight >= ENOUGH) ? { text: spaced(text), isWhole, isMade } : null;
  }

  function filled(fits, isWhole) {
    for (const fit of fits) {
      const made = fill(fit);
      if (made && (made.isWhole || !isWhole)) return made;
    }
    return null;
  }

  const isList = ({ one, words }) => one.places.some(({ kind }, i) => !kind && /, | and /.test(words[i]));

  function inParts(text) {
    for (const [separator, join] of PARTS) {
      const parts = text.split(separator);
      if (parts.length < 2) continue;
      const made = parts.map(translate);
      const isWhole = made.every((each) => each.isWhole);
      if (!made.some(({ isMade }) => isMade) || !(isWhole || join === "")) continue;
      const between = join ?? (parts.at(-1).includes(" and ") ? "、" : "，");
      return { text: made.map((each) => each.text).join(between), isWhole, isMade: true };
    }
    return null;
  }

  // A sentence that is known without its stop.
  function ended(text) {
    const made = text.endsWith(".") ? translate(text.slice(0, -1)) : null;
    return made?.isMade && made.isWhole ? { ...made, text: `${made.text}。` } : null;
  }

  function look(text) {
    if (exact.has(text)) return { text: exact.get(text), isWhole: true, isMade: true };
    const fits = fitting(text);
    const [plain, lists] = [fits.filter((fit) => !isList(fit)), fits.filter(isList)];
    return filled(plain, true) ?? inParts(text) ?? filled(lists, true) ?? ended(text)
      ?? filled(fits, false) ?? as(text);
  }

  function translate(text) {
    if (!/[A-Za-z]/.test(text) || text.length > LONGEST) return as(text);
    if (known.has(text)) return known.get(text);
    const made = look(text);
    if (known.size >= REMEMBERED) known.clear();
    known.set(text, made);
    return made;
  }

  // The translation of a trimmed text with single spaces; null if there is none.
  return (text) => { const { isMade, text: made } = translate(text); return isMade ? made : null; };
}

const as = (text) => ({ text, isWhole: !isEnglish(text), isMade: false });

// The words in the places of a pattern, as few as will do from left to right; null if the text does not fit.
function wordsIn({ pieces, places }, text) {
  if (!text.startsWith(pieces[0]) || !text.endsWith(pieces.at(-1)) || !areThere(pieces, text)) return null;
  const words = [];
  const isFit = (place, at) => {
    const piece = pieces[place + 1];
    const isLast = place === places.length - 1;
    let end = isLast ? text.length - piece.length : text.indexOf(piece, at + 1);
    for (; end > at; end = isLast ? -1 : text.indexOf(piece, end + 1)) {
      words[place] = text.slice(at, end);
      if (fits[places[place].kind](words[place]) && (isLast || isFit(place + 1, end + piece.length))) return true;
    }
    return false;
  };
  return isFit(0, pieces[0].length) ? words : null;
}

// Whether the pieces stand in a text one after the other: most patterns are out of the question at once.
function areThere(pieces, text) {
  let at = 0;
  for (const piece of pieces) {
    at = text.indexOf(piece, at);
    if (at < 0) return false;
    at += piece.length;
  }
  return true;
}

const fits = {
  "#": (words) => NUMBER.test(words),
  "=": (words) => !ENDS.test(words) && !words.includes(": "),
  "": (words) => !ENDS.test(words),
};

// Chinese characters stand close together, and a little apart from Latin letters and digits.
const spaced = (text) => text
  .replace(/(?<=[\p{Script=Han}，。：；、“”（）？！]) +(?=[\p{Script=Han}，。：；、“”（）？！])/gu, "")
  .replace(/(?<=\p{Script=Han})(?=[A-Za-z0-9])|(?<=[A-Za-z0-9%])(?=\p{Script=Han})/gu, " ");

const firstWord = (text) => text.split(" ", 1)[0];
const lastWord = (text) => text.slice(text.lastIndexOf(" ") + 1);

function pattern(key, value) {
  const places = [...key.matchAll(PLACE)].map(([, kind, n]) => ({ n, kind }));
  const pieces = key.split(/\{[#=]?\d\}/);
  return { key, value, places, pieces, weight: pieces.join("").length };
}
