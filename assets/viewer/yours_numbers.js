// What a metric of one's own says: its distances beside those of the two metrics, under the attack made for one of them
// and under the attack made for itself, and its curves.

import { distanceUnder, jpegUnder } from "./channels.js";
import { make, say } from "./dom.js";
import { newFigures } from "./figures.js";
import { lastStep } from "./model.js";
import { laneShortName, metricColor, metricTitle, YOURS } from "./names.js";
import { describe, headsOf, keyframesOf, pairOn, squaredAt } from "./opened.js";
import { decadeTicks, drawPlot } from "./plot.js";
import { nearest } from "./ruler.js";
import { number } from "./text.js";

const SIZE = { width: 330, height: 190 };    // px
const SAME = "Same pictures, other weights: nobody has attacked this metric yet.";

export function newYoursNumbers(part, model, view) {
  const find = (name) => part.querySelector(`.rv-${name}`);
  const warning = find("warning");
  const writeTable = newFigures(part.querySelector(".rv-yours-numbers table"), ["b", "span"]);
  const halves = [0, 1].map(() => ["span", "b", "span"].map((tag) => make(tag)));
  find("lesson").replaceChildren(...halves.map((nodes) => make("p", {}, ...nodes)));
  const [svg, caption] = ["svg", "figcaption"].map((tag) => part.querySelector(`.rv-yours-figure ${tag}`));

  // Reads a distance as a JPEG of the picture, under weights w.
  function reader(w) {
    const known = jpegUnder(model, w, view.trunk);
    if (!known) return () => "";
    const { title, words } = model.ruler.distortions.find(({ name }) => name === "jpeg");
    return (distance) => (distance === null ? "" : nearest(title, words, known, distance).long);
  }

  function distanceOf(lane, w) {
    const q = lane < 0 ? null : squaredAt(model, lane, view.step, view.trunk);
    return q ? distanceUnder(w, q) : null;
  }

  function show(w, plain) {
    const pair = pairOn(model, view.trunk);
    const metrics = [...pair.map((m) => describe(model, m)), { ...YOURS, w }]
      .map((metric) => ({ ...metric, read: reader(metric.w) }));
    writeLesson(w, metrics.at(-1).read, pair, plain);
    const cell = (lane, { w, read }) => {
      const distance = distanceOf(lane, w);
      return [number(distance), read(distance)];
    };
    writeTable("", metrics, model.meta.lanes.map((_, lane) =>
      [laneShortName(model, lane), metrics.map((metric) => cell(lane, metric))]));
    drawCurves(w, pair);
  }

  // The old attack on this metric, and the attack of someone who knows it, side by side.
  function writeLesson(w, read, pair, plain) {
    const mine = model.meta.metrics.indexOf(YOURS.name);
    const attacked = mine < 0 ? null : headsOf(model, mine);
    const same = attacked && w.every((weight, c) => Math.abs(weight - attacked[c]) <= 1e-5 * (1 + weight));
    const first = metricTitle(model, pair[0]);
    const [before, after] = [pair[0], mine].map((lane) => distanceOf(lane, w));
    const texts = [[`attack made for ${first}`, number(before), read(before)],
      [`attack made for ${YOURS.title}`, number(after), attacked ? read(after) : "not attacked yet"]];
    for (const [k, nodes] of halves.entries()) for (const [i, node] of nodes.entries()) say(node, texts[k][i]);
    say(warning, plain ? `This is ${first} itself. Move something.` : !attacked ? SAME
      : !same ? "You have changed it since it was attacked: whoever knows it now may get further."
        : before && after ? outcome(first, after / before) : "");
  }

  function outcome(first, ratio) {
    const far = ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1);
    return ratio > 1.05
      ? `Whoever knows your metric takes it ${far} times as far as the attack made for ${first} did.`
      : `The attack made for yours takes it no further than the one made for ${first}.`;
  }

  function drawCurves(w, pair) {
    // The noise is measured once, and stays.
    const line = (lane, weight, color, className) => {
      const points = keyframesOf(model, lane, view.trunk).map((step) =>
        [step, distanceUnder(weight, squaredAt(model, lane, step, view.trunk))]);
      return { color, className, points: points.length === 1 ? [...points, [lastStep(model), points[0][1]]] : points };
    };
    const style = (lane) => (model.meta.lanes[lane] === "noise" ? "rv-dotted" : lane ? "rv-dashed" : "rv-solid");
    const known = pair.map((m) => line(m, headsOf(model, m), metricColor(model, m), "rv-thin"));
    const mine = model.meta.lanes.map((_, lane) => line(lane, w, YOURS.color, style(lane)));
    const lines = [...known, ...mine];
    const values = lines.flatMap(({ points }) => points.map((point) => point[1])).filter((value) => value > 0);
    if (!values.length) return;
    const low = 10 ** Math.floor(Math.log10(Math.max(1e-6, Math.min(...values))));
    const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
    const steps = model.meta.steps;
    drawPlot(svg, { ...SIZE, lines, marks: [view.step],
      x: { low: 0, high: Math.max(1, steps), ticks: [[0, "step 0"], [steps, String(steps)]] },
      y: { low, high: Math.max(high, low * 10), log: true, ticks: decadeTicks(low, Math.max(high, low * 10)) } });
    svg.setAttribute("aria-label", "Distances of your metric over the steps, beside those of the metrics attacked");
    say(caption, `Pink: yours (solid, dashed: the attacked pictures; dotted: noise). Thin: ${
      pair.map((m) => metricTitle(model, m)).join(" and ")}, each under its own attack.`);
  }

  return { show };
}
