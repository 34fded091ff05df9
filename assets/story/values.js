// The values that a scene may name: each computed from the trace on show, none of them stored anywhere.
//
// VALUES: name -> {says, short, measured, pictures, of(model, step), text(value)}
//   says      what it is, as assets/docs/story.md lists it
//   short     what stands before it where a task tells of it
//   measured  whether it is a number, which can be predicted
//   pictures  whether it needs the decoded pictures of the step, and so the trace that is on show

import { cumulative, howMany, products } from "../viewer/heads.js";
import { summedValues } from "../viewer/maps.js";
import { frameAt, reading } from "../viewer/model.js";
import { headsOf, jpegCopies, layersOf, squaredAt } from "../viewer/opened.js";
import { rulerText } from "../viewer/ruler.js";
import { number } from "../viewer/text.js";

const PREFIXES = { lpips: { metric: "lpips", title: "LPIPS" }, rlpips: { metric: "rlpips-linf", title: "R-LPIPS" } };
const JPEG = "JPEG quality 16";       // as the opened metric compares with
const BRIGHTEST = 0.1;                // share of the picture
const [BEYOND, BELOW] = [0, 100];     // qualities of what is further, or nearer, than all JPEG copies tried

const plain = (value) => String(Number(value.toPrecision(6)));
const whole = (value) => value.toFixed(0);
const times = (value) => (value >= 10 ? value.toFixed(0) : value.toFixed(1));
const qualityText = (value) => (value === BEYOND ? "below 1" : value === BELOW ? "above 88" : String(value));

export const VALUES = {};
const add = (name, says, text, of, pictures = false) => {
  const short = name.endsWith("_quality") ? "JPEG quality" : name;
  VALUES[name] = { says, short, text: text ?? String, measured: Boolean(text), pictures, of };
};

// ---- of the whole

const laneOf = (model, name) => model.meta.lanes.indexOf(name);
const metricOf = (model, name) => model.meta.metrics.indexOf(name);

add("picture", "the name of the picture", null, (model) => model.meta.name.replaceAll("_", " "));
add("eps", "the bound of the change: levels of 255 for l∞, else the norm's own unit", plain,
  ({ meta }) => meta.eps * (meta.norm === "linf" ? 255 : 1));
add("step", "the step on show", plain, (_, step) => step);
add("steps", "the steps of the attack", plain, (model) => model.meta.steps);
add("psnr", "PSNR of the picture attacked against LPIPS, in dB", number, (model, step) => {
  const lane = laneOf(model, "lpips"), frame = frameAt(model, lane, step);
  return frame?.psnr?.[frame.lanes.indexOf(lane)] ?? null;
});
add("eye_quality", "the quality of the JPEG copy that a model of the eye (FLIP) finds as far as the picture attacked "
  + "against LPIPS", qualityText, (model) => {
    const lane = laneOf(model, "lpips");
    if (!model.eye?.distance || lane < 0) return null;
    return quality({ ruler: model.eye.ruler }, "flip", model.eye.distance[lane]);
  });
add("channels", "the channels that the metrics weigh", plain, (model) => headsOf(model, 0)?.length ?? null, true);
add("overlap", "of the tenth where LPIPS's map of the picture attacked against it is brightest, the percentage that "
  + "lies in the brightest tenth of R-LPIPS's map of the same picture; by chance it is 10", whole, (model, step) => {
  const [a, b] = ["lpips", "rlpips-linf"].map((name) =>
    brightest(model, laneOf(model, "lpips"), metricOf(model, name), step));
  return a && b ? 100 * a.places.filter((place) => b.set.has(place)).length / a.places.length : null;
}, true);

// ---- of each metric

// The distance of a metric to a lane at a step; null where the trace has not both.
function distance(model, metric, lane, step) {
  const [m, k] = [metricOf(model, metric), laneOf(model, lane)];
  return m < 0 || k < 0 ? null : reading(model, "distance", step, k, m);
}

function quality(model, metric, value) {
  const { long, short } = rulerText(model, "jpeg", metric, value);
  if (short === "beyond all") return BEYOND;
  if (short === "below all" || short === "identical") return BELOW;
  const match = /quality (\d+)/.exec(long);
  return match ? Number(match[1]) : null;
}

const over = (a, b) => (a === null || !(b > 0) ? null : a / b);

// The places where a map is brightest.
function brightest(model, lane, metric, step) {
  const frame = lane < 0 ? null : frameAt(model, lane, step);
  if (!frame?.decoded || metric < 0) return null;
  const { data } = summedValues(model, frame, lane, metric);
  const count = Math.round(BRIGHTEST * data.length);
  const places = Array.from(data.keys()).sort((a, b) => data[b] - data[a]).slice(0, count);
  return { places, set: new Set(places) };
}

// The number of channels that make half of a metric's distance; q are squared differences.
function half(model, m, q) {
  const w = m < 0 ? null : headsOf(model, m);
  const shares = w && q ? cumulative(products(w, q)) : null;
  return shares ? howMany(shares, 0.5) : null;
}

function squared(model, lane, step) {
  const k = laneOf(model, lane);
  return k < 0 || !frameAt(model, k, step)?.decoded ? null : squaredAt(model, k, step, 0);
}

for (const [prefix, { metric, title }] of Object.entries(PREFIXES)) {
  const other = Object.values(PREFIXES).find((each) => each.metric !== metric);
  const against = {
    "": [metric, `the picture attacked against ${title}`],
    _crossed: [other.metric, `the picture attacked against ${other.title}`],
    _noise: ["noise", "noise within the same bound"],
  };
  for (const [suffix, [lane, what]] of Object.entries(against)) {
    const now = (model, step) => distance(model, metric, lane, step);
    add(`${prefix}${suffix}`, `${title}'s distance to ${what}`, number, now);
    add(`${prefix}${suffix}_equivalent`, `what JPEG copy ${title} finds as far as ${what}, in words`, null,
      (model, step) => rulerText(model, "jpeg", metric, now(model, step)).long || null);
    add(`${prefix}${suffix}_quality`, `the quality of that JPEG copy; ${BEYOND} if it is further than all tried, `
      + `${BELOW} if it is nearer`, qualityText, (model, step) => quality(model, metric, now(model, step)));
  }
  const own = (model, step) => distance(model, metric, metric, step);
  add(`${prefix}_start`, `${title}'s distance before the first step`, number, (model) => own(model, 0));
  add(`${prefix}_ratio`, `how many times further ${title} finds the picture attacked against it than noise`, times,
    (model, step) => over(own(model, step), distance(model, metric, "noise", step)));
  add(`${prefix}_fall`, `how many times nearer ${title} finds it than before the first step, for pulling toward`, times,
    (model, step) => over(own(model, 0), own(model, step)));
  add(`${prefix}_channels50`, `how many channels make half of ${title}'s distance to the picture attacked against it`,
    plain, (model, step) => half(model, metricOf(model, metric), squared(model, metric, step)), true);
  add(`${prefix}_jpeg_channels50`, `the same for the picture as ${JPEG}`, plain, (model) =>
    half(model, metricOf(model, metric), jpegCopies(model, 0).find(({ words }) => words === JPEG)?.q ?? null), true);
  const layer = (model, step) => {
    const [m, k] = [metricOf(model, metric), laneOf(model, metric)];
    const shares = m < 0 || k < 0 || !model.meta.trunks?.length ? []
      : layersOf(model, 0).map((_, l) => reading(model, "per_layer", step, k, m, l) ?? 0);
    const share = Math.max(...shares);
    return shares.length ? { name: model.meta.layers[shares.indexOf(share)], share } : null;
  };
  add(`${prefix}_layer`, `the layer that makes most of ${title}'s distance`, null,
    (model, step) => layer(model, step)?.name ?? null);
  add(`${prefix}_layer_share`, "its percentage", whole,
    (model, step) => over(100 * (layer(model, step)?.share ?? 0), own(model, step)));
}

// A value of a model at a step; null where the trace has none, or not yet.
export const measure = (name, model, step) => (model?.meta ? VALUES[name].of(model, step) : null);

export function valueText(name, model, step) {
  const value = measure(name, model, step);
  return value === null ? "–" : VALUES[name].text(value);
}
