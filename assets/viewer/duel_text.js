// What a lecturer would say of one step of a duel, made from its numbers. An attack only shows what it has found: the
// sentences say where it has brought a metric, and never how far that metric could be brought.

import { isPair, reading } from "./model.js";
import { laneShortName, metricTitle } from "./names.js";
import { rulerText } from "./ruler.js";
import { number } from "./text.js";
import { hasVerdicts } from "./verdicts.js";

// The sentences at a step, beside the ruler's distortion of this name; none where nothing is known.
export function duelText(model, step, distortion) {
  const { meta } = model;
  const own = isPair(model) ? [] : ownReadings(model, step);
  if (!own.length) return [];
  const parts = own.map(({ metric, m, lane, distance }) => {
    const first = meta.objective === "toward" && step ? reading(model, "distance", 0, lane, m) : null;
    const from = first === null ? "" : ` from ${number(first)}`;
    const far = rulerText(model, distortion, metric, distance).long;
    return `${metricTitle(model, m)}${from} ${step ? "to " : ""}${number(distance)}${far && `, ${far}`}`;
  });
  const start = step ? `After ${stepsText(step, meta.steps)} within ${budgetText(meta)} the attack has brought`
    : "Before the first step:";
  return [`${start} ${parts.join("; ")}.`, noiseText(model, step, own)].filter(Boolean);
}

// Of every metric that is attacked, the distance to the picture attacked against it.
const ownReadings = (model, step) => model.meta.metrics
  .map((metric, m) => ({ metric, m, lane: model.meta.lanes.indexOf(metric) }))
  .map((each) => ({ ...each, distance: reading(model, "distance", step, each.lane, each.m) }))
  .filter(({ distance }) => distance !== null);

// The lines of a readout at a step: [{m, text}]. In a duel each metric's reading of the picture attacked against it; of
// two attacks on a classifier every metric's reading of both.
export function readoutLines(model, step, distortion) {
  if (hasVerdicts(model))
    return model.meta.lanes.flatMap((_, lane) => model.meta.metrics.map((__, m) => ({
      m, text: `${laneShortName(model, lane)}: ${metricTitle(model, m)} `
        + number(reading(model, "distance", step, lane, m)) })));
  return ownReadings(model, step).map(({ metric, m, distance }) => {
    const far = rulerText(model, distortion, metric, distance).long;
    return { m, text: `${metricTitle(model, m)} ${number(distance)}${far && `, ${far}`}` };
  });
}

const stepsText = (step, steps) => `${step < steps ? `${step} of ` : ""}${steps} step${steps === 1 ? "" : "s"}`;

function budgetText({ norm, eps }) {
  const plain = (value) => String(Number(value.toPrecision(4)));
  if (norm === "flow") return `moves of ${plain(eps)} px`;
  return norm === "linf" ? `l∞ ${plain(255 * eps)}/255` : `an l2 norm of ${plain(eps)}`;
}

// The control, for the metrics that the first sentence names.
function noiseText(model, step, own) {
  const lane = model.meta.lanes.indexOf("noise");
  const values = lane < 0 || !step ? [] : own.map(({ m }) => reading(model, "distance", step, lane, m));
  if (!values.length || values.includes(null)) return "";
  const who = model.meta.norm === "flow" ? "Random moves within the same budget bring"
    : "Noise of the same budget brings";
  const texts = values.map((value) => number(value));
  const list = [texts.slice(0, -1).join(", "), texts.at(-1)].filter(Boolean).join(" and ");
  return `${who} ${texts.length < 2 ? "it" : "them"} to ${list}.`;
}
