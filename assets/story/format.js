// A story file, read and checked: JSON, described in assets/docs/story.md. Files come from strangers: what is no story
// is refused with a sentence that says where in the file. Nothing in this file touches the page.

import { VIEW_KEYS } from "../viewer/view_address.js";
import { PARTS } from "./light.js";
import { VALUES } from "./values.js";

export const MOST_BYTES = 65536;      // of a file
const FORMAT = "rlpips-story-1";
const MOST_SCENES = 40;
const LONGEST = 400;                  // characters of a text
const SHOWN = ["all", "attacked", "change", "maps"];  // which pictures of a column
const NAME = /^[A-Za-z0-9][\w.-]{0,59}$/;

// The story that a text is; `recorded` are the names of the recorded duels. Error with a sentence otherwise.
export function readStory(text, recorded) {
  if (new Blob([text]).size > MOST_BYTES)
    throw new Error(`A story file may have ${MOST_BYTES / 1024} kB; this one is larger.`);
  return story(parsed(text), recorded);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    const before = text.slice(0, faultIn(text)).split("\n");
    throw new Error("This is not a story file: it is not valid JSON at "
      + `line ${before.length}, character ${before.at(-1).length + 1}.`);
  }
}

// How many characters are fine in a text that is no JSON: browsers do not tell.
function faultIn(text) {
  const string = '"(?:[^"\\\\\\x00-\\x1f]|\\\\(?:["\\\\/bfnrt]|u[\\da-fA-F]{4}))*"';
  const plain = "(?:-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|true|false|null)";
  const next = new RegExp(`\\s*(?:(${string})|(${plain})|([{}\\[\\],:]))`, "y");
  const opened = [];
  let wants = "value", at = 0;        // "item": a value or the end of the list; "name": a key after a comma
  for (let match = next.exec(text); match; match = next.exec(text)) {
    const [, word, other, mark] = match;
    const ends = mark === "}" ? "{" : mark === "]" ? "[" : null;
    const mayEnd = ends === "{" ? ["key", "more"] : ["item", "more"];
    if (["key", "name"].includes(wants) && word) wants = "colon";
    else if (wants === "colon" && mark === ":") wants = "value";
    else if (["value", "item"].includes(wants) && (word || other)) wants = opened.length ? "more" : "end";
    else if (["value", "item"].includes(wants) && (mark === "{" || mark === "[")) {
      opened.push(mark);
      wants = mark === "{" ? "key" : "item";
    } else if (wants === "more" && mark === ",") wants = opened.at(-1) === "{" ? "name" : "value";
    else if (ends && opened.at(-1) === ends && mayEnd.includes(wants)) {
      opened.pop();
      wants = opened.length ? "more" : "end";
    } else break;
    at = next.lastIndex;
  }
  return at + /^\s*/.exec(text.slice(at))[0].length;
}

// ---- what a value at a place of the file has to be

function refuse(place, expected, value) {
  const came = value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60);
  throw new Error(`In the story file, ${place || "the whole"} must be ${expected}, not ${came}.`);
}

// An object with these keys, each read by its rule; a rule is `optional` or the key must be there.
const object = (rules) => (place, value, known) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(place, "an object { }", value);
  const inside = (key) => (place ? `${place}.${key}` : key);
  for (const key of Object.keys(value))
    if (!Object.hasOwn(rules, key)) throw new Error(`In the story file, ${inside(key.slice(0, 40))} is not a key of `
      + `the format; here it knows ${Object.keys(rules).join(", ")}.`);
  const read = {};
  for (const [key, rule] of Object.entries(rules)) {
    const there = Object.hasOwn(value, key);
    if (there || !rule.optional) read[key] = rule(inside(key), there ? value[key] : undefined, known);
  }
  return read;
};

const optional = (rule) => Object.assign((...all) => rule(...all), { optional: true });

const list = (rule, least, most) => (place, value, known) => {
  if (!Array.isArray(value) || value.length < least || value.length > most)
    refuse(place, `a list [ ] of ${least} to ${most}`, value);
  return value.map((each, i) => rule(`${place}[${i}]`, each, known));
};

const string = (place, value) => {
  if (typeof value !== "string" || !value.trim() || value.length > LONGEST)
    refuse(place, `a text of 1 to ${LONGEST} characters`, value);
  return value;
};

const number = (place, value) => (typeof value === "number" && Number.isFinite(value) ? value
  : refuse(place, "a number", value));

const yes = (place, value) => (typeof value === "boolean" ? value : refuse(place, "true or false", value));

const among = (names) => (place, value) => (typeof value === "string" && names.includes(value) ? value
  : refuse(place, `one of ${names.join(", ")}`, value));

const duel = (place, value, { recorded }) => (typeof value === "string" && recorded.includes(value) ? value
  : refuse(place, `the name of a recorded duel (${recorded.join(", ")})`, value));

// Other duels by names of the author's: {"large": "astronaut-away-linf-8"}.
function duels(place, value, known) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(place, "an object { }", value);
  const entries = Object.entries(value);
  if (entries.length > 3 || !entries.every(([name]) => NAME.test(name)))
    refuse(place, "at most three names, of letters and digits, with a recorded duel each", value);
  return Object.fromEntries(entries.map(([name, of]) => [name, duel(`${place}.${name}`, of, known)]));
}

// Keys and values of an address of the viewer.
function view(place, value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(place, "an object { }", value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => {
    const inside = `${place}.${key.slice(0, 40)}`;
    const known = Object.hasOwn(VIEW_KEYS, key);
    if (!known) refuse(inside, `left out: the keys are ${Object.keys(VIEW_KEYS).join(", ")}`, each);
    const read = ["string", "number"].includes(typeof each) ? VIEW_KEYS[key].read(String(each)) : undefined;
    return [key, read === undefined ? refuse(inside, "what an address of this page has for it", each) : read];
  }));
}

const lights = list(among(PARTS), 0, 6);

const choice = object({ text: string, from: optional(number), to: optional(number) });
const slider = object({ from: number, to: number, step: number, unit: optional(string) });
const measured = (place, value) => (typeof value === "string" && Object.hasOwn(VALUES, value) && VALUES[value].measured
  ? value : refuse(place, "the name of a value that is a number", value));

const ask = object({ question: string, value: string, choices: optional(list(choice, 2, 4)),
  slider: optional(slider) });
const reveal = object({ number: string, unit: optional(string), text: string, view: optional(view),
  light: optional(lights), play: optional(yes) });
const settings = object({ objective: optional(among(["away", "toward"])),
  norm: optional(among(["linf", "l2", "flow"])) });
const task = object({ text: string, value: measured, from: optional(number), to: optional(number),
  least: optional(among(["eps", "steps"])), within: optional(number), where: optional(settings) });

const sceneRules = object({ title: string, trace: duel, also: optional(duels), show: optional(among(SHOWN)),
  view: optional(view), light: optional(lights), sentence: string, ask: optional(ask), reveal, task: optional(task) });

function scene(place, value, known) {
  const read = sceneRules(place, value, known);
  const names = { ...VALUES };
  for (const other of Object.keys(read.also ?? {}))
    for (const [name, each] of Object.entries(VALUES)) if (!each.pictures) names[`${other}.${name}`] = each;
  const texts = { sentence: read.sentence, "ask.question": read.ask?.question, "task.text": read.task?.text };
  for (const part of ["number", "unit", "text"]) texts[`reveal.${part}`] = read.reveal[part];
  for (const [key, text] of Object.entries(texts))
    for (const name of namesIn(text ?? ""))
      if (!Object.hasOwn(names, name))
        throw new Error(`In the story file, ${place}.${key} names {${name.slice(0, 40)}}, `
          + "which is no value of this scene. assets/docs/story.md lists them all.");
  if (read.ask) checkAsk(`${place}.ask`, read.ask, names);
  if (read.task) checkTask(`${place}.task`, read.task);
  return read;
}

function checkAsk(place, { value, choices, slider: range }, names) {
  const isMeasured = Object.hasOwn(names, value) && names[value].measured;
  if (!isMeasured) refuse(`${place}.value`, "the name of a value that is a number", value);
  if (Boolean(choices) === Boolean(range))
    refuse(place, "with either choices or a slider", choices && range ? "both" : undefined);
  if (range && !(range.from < range.to && range.step > 0 && (range.to - range.from) / range.step <= 1000))
    refuse(`${place}.slider`, "a range from low to high in at most 1000 steps", range);
  for (const [i, { from = -Infinity, to = Infinity }] of (choices ?? []).entries())
    if (from >= to) refuse(`${place}.choices[${i}]`, "a range whose from is below its to", choices[i]);
}

function checkTask(place, { from, to, least, within }) {
  if (from === undefined && to === undefined) refuse(place, "with a range: from, to, or both", undefined);
  if (least && !(within > 0)) refuse(`${place}.within`, "a number above 0 beside least", within);
}

const format = (place, value) => (value === FORMAT ? value : refuse(place, JSON.stringify(FORMAT), value));
const whole = object({ format, title: string, scenes: list(scene, 1, MOST_SCENES) });
const story = (value, recorded) => whole("", value, { recorded });

// ---- templates: "LPIPS says {lpips}"

const SLOT = /\{([A-Za-z0-9][\w.-]*)\}/g;

const namesIn = (text) => [...text.matchAll(SLOT)].map((match) => match[1]);

// The text with each name's value in its place; `textOf` gives a value as text.
export const filled = (text, textOf) => text.replace(SLOT, (_, name) => textOf(name));
