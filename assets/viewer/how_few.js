// "How few": how many channels make half of a distance: for this attack, the other one, noise, and a JPEG copy.

import { say } from "./dom.js";
import { newFigures } from "./figures.js";
import { cumulative, howMany, products } from "./heads.js";
import { laneShortName, YOURS } from "./names.js";
import { describe, jpegCopies, pairOn, squaredAt } from "./opened.js";
import { drawPlot } from "./plot.js";

const SIZE = { width: 300, height: 150 };    // px
const JPEG_QUALITY = "JPEG quality 16";

export function newFew(panel, model, view) {
  const part = panel.querySelector(".rv-part-few");
  const [says, svg] = [".rv-few-says", "svg"].map((name) => part.querySelector(name));
  let known = { picture: null, rows: [] };
  const writeTable = newFigures(part.querySelector("table"), ["span"]);

  // [name, squared differences, style of its line] of each picture that is compared; the lane on show first.
  function pictures(lane) {
    const lanes = model.meta.lanes.map((name, k) => ({ name, k })).filter(({ k }) => k !== lane);
    const others = lanes.map(({ name, k }) =>
      [laneShortName(model, k), squaredAt(model, k, view.step, view.trunk), name === "noise" ? "rv-dotted" : ""]);
    const jpegs = jpegCopies(model, view.trunk);
    const jpeg = jpegs.find(({ words }) => words === JPEG_QUALITY) ?? jpegs[Math.floor(jpegs.length / 2)];
    return [[laneShortName(model, lane), squaredAt(model, lane, view.step, view.trunk), "rv-solid"], ...others,
      ...(jpeg ? [[jpeg.words, jpeg.q, "rv-dashed"]] : [])].filter(([, q]) => q);
  }

  const count = (metrics, q) => metrics.map(({ w }) => cumulative(products(w, q)))
    .map((values) => ({ values, points: values && sampled(values) }));

  // `picture` says what is shown of: while it stays, only the visitor's metric changes.
  function show(lane, picture) {
    const pair = pairOn(model, view.trunk).map((m) => describe(model, m));
    if (known.picture !== picture)
      known = { picture, rows: pictures(lane).map(([name, q, style]) => ({ name, q, style, shares: count(pair, q) })) };
    if (!known.rows.length) return;
    const metrics = [...pair, ...view.yours];
    const rows = known.rows.map((row) => ({ ...row, shares: [...row.shares, ...count(view.yours, row.q)] }));
    const sentence = sentenceOf(rows, metrics);
    say(says, sentence);
    const lines = rows.filter(({ style }) => style).flatMap(({ style, shares }) =>
      shares.map(({ points }, k) => points && { points, className: style, color: metrics[k].color })).filter(Boolean);
    const most = pair[0].w.length;
    drawPlot(svg, { ...SIZE, lines, x: { low: 1, high: most, log: true, ticks: ticks(most) },
      y: { low: 0, high: 1, ticks: [[0, "0"], [0.5, "50 %"], [0.9, "90 %"]] } });
    svg.setAttribute("aria-label", `Share of the distance that the heaviest channels make. ${sentence}`);
    writeTable("for 50 · 90 %", metrics, rows.map(({ name, shares }) => [name, shares.map(({ values }) =>
      [values ? `${howMany(values, 0.5)} · ${howMany(values, 0.9)}` : "–"])]));
  }

  const ticks = (count) => [1, 10, 100, 1000].filter((value) => value <= count).map((value) => [value, String(value)]);

  // As many points as the chart can show.
  function sampled(values) {
    const places = new Set(Array.from({ length: 60 }, (_, i) => Math.round(values.length ** (i / 59)) - 1));
    return [...places].map((k) => [k + 1, values[k]]);
  }

  function sentenceOf(rows, metrics) {
    const half = (row, k) => (row.shares[k].values ? howMany(row.shares[k].values, 0.5) : 0);
    const [mine, jpeg] = [rows[0], rows.find((row) => row.style === "rv-dashed")];
    const channels = (n) => `${n} ${n === 1 ? "channel makes" : "channels make"}`;
    if (!half(mine, 0)) return "The two pictures look the same to the network.";
    const other = metrics.slice(1).map(({ title }, k) =>
      `${half(mine, k + 1)} of ${title === YOURS.title ? title : `${title}’s`}`).join(", ");
    const natural = jpeg ? ` For the same picture as ${jpeg.name} it takes ${half(jpeg, 0)}`
      + `${metrics.length > 1 ? ` and ${half(jpeg, 1)}` : ""}: `
      + `to ${metrics[0].title} ${spread(half(mine, 0), half(jpeg, 0))}.` : "";
    return `${channels(half(mine, 0))} half of ${metrics[0].title}’s distance${other ? `, ${other}` : ""}.${natural}`;
  }

  // What the counts of the first metric say. A change may well sit in no fewer channels than a JPEG's.
  const spread = (mine, jpeg) => (mine < 0.6 * jpeg ? "this change sits in fewer channels"
    : mine > 1.67 * jpeg ? "this change is spread over more channels" : "this change is spread about as widely");

  return { show };
}
