// One metric's card on the stage of "You be the judge": its two choices, the attacked candidate, and the distances.

import { paint } from "./canvas.js";
import { amplifiedChange } from "./decode.js";
import { make } from "./dom.js";

export const LETTERS = ["A", "B"];
const AMPLIFIED_TO = 100;             // how far from grey, in levels, the amplified change reaches

export const bold = (text) => make("b", { textContent: text });

const span = (className, text) => make("span", { className, textContent: text });

// `original` and `attacked` are the ImageData of the candidate before and after the attack; `show(on)` puts the
// attacked one in its place on the stage, and back.
export function newCard(template, verdict, metric, original, attacked, show) {
  const card = template.content.cloneNode(true).firstElementChild;
  const part = (name) => card.querySelector(`.jd-${name}`);
  card.style.setProperty("--raw", metric.color);
  card.querySelector("h3").textContent = metric.title;
  writeChoice(part("choice"), verdict, metric);
  prepareSwap(part("swap"), verdict, metric, attacked, show);
  showChange(part("change"), verdict, original, attacked);
  writeDistances(part("distances"), verdict, metric);
  const smallest = metric.smallest === null
    ? [bold("none"), ` (not flipped up to ${verdict.most}/255)`]
    : [bold(`${metric.smallest}/255`)];
  part("smallest").append("smallest eps found to turn it, unrounded: ", ...smallest);
  return card;
}

function writeChoice(place, verdict, metric) {
  const [before, after] = metric.choices;
  const turned = before !== after;
  place.append("says ", bold(LETTERS[before]), mark(verdict, before), "; attacked, says ", bold(LETTERS[after]),
    mark(verdict, after), " ", span(turned ? "jd-turned" : "jd-holds", turned ? "turned" : "holds"));
}

function mark({ chosen, nearer }, choice) {
  if (nearer !== null) return choice === nearer ? " ✓" : " ✗";
  return choice === chosen ? " (as you)" : " (not as you)";
}

function prepareSwap(swap, verdict, metric, attacked, show) {
  const letter = LETTERS[verdict.attacked];
  const direction = metric.choices[0] === verdict.attacked ? "pushed away" : "pulled nearer";
  const canvas = swap.querySelector("canvas");
  paint(canvas, attacked);
  canvas.ariaLabel = `candidate ${letter} attacked against ${metric.title}`;
  swap.querySelector("span").textContent = `${letter} attacked, ${direction}. Point at it: it takes ${letter}'s place.`;
  const toggle = (on) => {
    show(on);
    swap.setAttribute("aria-pressed", on);
  };
  for (const event of ["pointerenter", "focus"]) swap.addEventListener(event, () => toggle(true));
  for (const event of ["pointerleave", "blur"]) swap.addEventListener(event, () => toggle(false));
}

function showChange(place, verdict, original, attacked) {
  const factor = Math.max(1, Math.round(AMPLIFIED_TO / verdict.eps));
  const canvas = place.querySelector("canvas");
  paint(canvas, amplifiedChange(attacked, original, factor));
  canvas.ariaLabel = `what the attack changed, amplified ${factor} times around grey`;
  place.querySelector("span").textContent = `its change ×${factor}, within ±${verdict.eps}/255`;
}

function writeDistances(place, verdict, metric) {
  const longest = Math.max(...metric.distances.flat());
  metric.distances.forEach((pair, after) => {
    const heading = after ? `distance with ${LETTERS[verdict.attacked]} attacked` : "distance to the reference";
    place.append(make("h4", { textContent: heading }));
    pair.forEach((distance, i) => {
      const fill = span("jd-fill", "");
      fill.style.width = `${(100 * distance) / longest}%`;
      const letter = span(i === metric.choices[after] ? "jd-nearer" : "", LETTERS[i]);
      place.append(letter, fill, span("", distance.toFixed(3)));
    });
  });
}
