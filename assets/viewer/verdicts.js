// What a trace with a classifier's verdicts says of its two attacks; see rlpips/attacks/side_by_side.py.

import { frameAt, reading } from "./model.js";
import { percent } from "./text.js";

export const hasVerdicts = (model) => Boolean(model.meta.verdicts);

export const attackOf = (model, lane) => model.meta.receipt.attacks[lane];

// The class with the largest probability.
export const top = (shares) => shares.indexOf(Math.max(...shares));

export const className = (model, index) => model.meta.verdicts.classes[index];

export const verdictText = (model, shares) =>
  (shares ? `${className(model, top(shares))} ${percent(Math.max(...shares))}` : "–");

// Probabilities of a lane's float picture at a step, and of its last keyframe in 8 bits; null where they are missing.
export const shares = (model, lane, step) => reading(model, "probabilities", step, lane);

export function shares8bit(model, lane, step) {
  const frame = frameAt(model, lane, step);
  return frame?.probabilities_8bit?.[frame.lanes.indexOf(lane)] ?? null;
}

// Right before the attack? An attack cannot turn a verdict that was wrong from the start.
export const rightAtFirst = (model) => top(model.meta.verdicts.clean) === model.meta.verdicts.label;

// The unit of an attack's bound is the root of its metric's distance; plain norms are given as papers do.
export function boundText(model, lane) {
  const { metric, name, bound } = attackOf(model, lane);
  if (metric) return `√${model.meta.titles[metric]} ≤ ${shortBound(bound)}`;
  if (name.endsWith("linf")) return `≤ ${shortBound(255 * bound)}/255`;
  return `≤ ${shortBound(bound)}${name === "stadv" ? " px" : ""}`;
}

const shortBound = (bound) => String(Number(bound.toPrecision(3)));

// Where the curves may go: an attack's own distance up to the square of its bound.
export function boundMarks(model) {
  const marks = [];
  model.meta.lanes.forEach((_, lane) => {
    const { metric, bound, title } = attackOf(model, lane);
    const m = model.meta.metrics.indexOf(metric);
    if (m < 0) return;
    const same = marks.find((mark) => mark.m === m && mark.distance === bound ** 2);
    if (same) same.text += ` and ${title}`;
    else marks.push({ m, distance: bound ** 2, text: `bound of ${title}` });
  });
  return marks;
}

// Rows of the table of numbers: [label, text of a lane's cell].
export function verdictRows(model, view) {
  const { label } = model.meta.verdicts;
  const both = (name, write) => [[name, shares], ["in 8 bits", shares8bit]]
    .map(([title, read]) => [title, (lane) => write(read(model, lane, view.step))]);
  return [...both("says", (p) => verdictText(model, p)),
    ...both(`P(${className(model, label)})`, (p) => percent(p?.[label]))];
}

// How large the perturbations are, as n/255, or probably will be while the attacks run: it decides the amplification.
export function expectedSize(model) {
  const { width, height, receipt } = model.meta;
  const ratios = (model.frames.at(-1)?.psnr ?? []).filter(Number.isFinite);
  if (model.state !== "running" && ratios.length) return 3 * 255 * 10 ** (-Math.min(...ratios) / 20);
  return Math.max(...receipt.attacks.map(({ metric, name, bound }) => {
    if (metric) return 50 * bound;    // a bound of 0.5 lets most pixels move by some 25/255
    if (!/(linf|l2)$/.test(name)) return 40;
    return 255 * (name.endsWith("linf") ? bound : (3 * bound) / Math.sqrt(3 * width * height));
  }));
}
