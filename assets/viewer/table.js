// The table of numbers of all lanes.

import { make } from "./dom.js";
import { hasFlow, moveSizes } from "./flow.js";
import { frameAt, isPair, reading } from "./model.js";
import { laneColor, laneShortName, metricColor, metricTitle } from "./names.js";
import { rulerText } from "./ruler.js";
import { decibels, growth, in255, number } from "./text.js";
import { hasVerdicts, verdictRows } from "./verdicts.js";

// One row: [its label, text of a lane's cell].
function metricRows(model, view, m) {
  const metric = model.meta.metrics[m];
  const at = (step) => (lane) => reading(model, "distance", step, lane, m);
  const [before, now] = [at(0), at(view.step)];
  const eightBit = (lane) => {
    const frame = frameAt(model, lane, view.step);
    return frame ? frame.distance_8bit[frame.lanes.indexOf(lane)]?.[m] : null;
  };
  const exact = ["in 8 bits", (k) => number(eightBit(k))];
  const ruler = ["as far as", (k) => rulerText(model, view.ruler, metric, now(k)).short];
  if (isPair(model)) return [["distance", (k) => number(now(k))], exact, ruler];
  const root = (value) => (value === null ? null : Math.sqrt(value));
  return [
    ["at step 0", (k) => number(before(k))],
    ["now", (k) => number(now(k))],
    exact,
    hasVerdicts(model)
      ? ["√ now, as bounds", (k) => number(root(now(k)))]
      : [model.meta.objective === "toward" ? "change" : "grown", (k) => growth(before(k), now(k))],
    ruler,
  ];
}

// Rows like these, of the size of the change.
function sizeRows(model, view) {
  const float = (key, k) => reading(model, key, view.step, k);
  const eightBit = (key, k) => {
    const frame = frameAt(model, k, view.step);
    return frame ? frame[key]?.[frame.lanes.indexOf(k)] ?? null : null;
  };
  return [
    ...(hasVerdicts(model) ? verdictRows(model, view) : []),
    ...(hasFlow(model) ? [["moved, px", (k) => movesText(moveSizes(frameAt(model, k, view.step), k))]] : []),
    ["l∞ · 8 bits", (k) => `${in255(float("linf", k))} · ${in255(eightBit("linf_8bit", k))}`],
    ["l2 · 8 bits", (k) => `${number(float("l2", k))} · ${number(eightBit("l2_8bit", k))}`],
    ["PSNR, 8 bits", (k) => decibels(eightBit("psnr", k))],
    ["SSIM, 8 bits", (k) => number(eightBit("ssim", k))],
  ];
}

const movesText = (moved) => (moved ? `${moved.most.toFixed(2)} · ${moved.mean.toFixed(2)}` : "–");

// Builds the table once per run and returns the function that writes the cells of a step.
export function newTable(root, model, view) {
  const table = root.querySelector(".rv-table table");
  const lanes = model.meta.lanes.map((_, k) => k);
  const heading = (text, properties = {}) => make("th", { textContent: text, ...properties });
  const head = make("tr", {}, make("td"), ...lanes.map((k) => {
    const cell = heading(laneShortName(model, k), { scope: "col", className: "rv-ink" });
    cell.style.setProperty("--raw", laneColor(model, k));
    return cell;
  }));
  const cells = [];
  const row = ([label]) => {
    const rowCells = lanes.map(() => make("td"));
    cells.push(rowCells);
    return make("tr", {}, heading(label, { scope: "row" }), ...rowCells);
  };
  const bodies = model.meta.metrics.map((_, m) => {
    const name = heading(metricTitle(model, m), { scope: "rowgroup", colSpan: 1 + lanes.length, className: "rv-ink" });
    name.style.setProperty("--raw", metricColor(model, m));
    return make("tbody", {}, make("tr", {}, name), ...metricRows(model, view, m).map(row));
  });
  table.replaceChildren(make("thead", {}, head), ...bodies, make("tbody", {}, ...sizeRows(model, view).map(row)));

  return function write() {
    const rows = [...model.meta.metrics.flatMap((_, m) => metricRows(model, view, m)), ...sizeRows(model, view)];
    for (const [i, [, text]] of rows.entries())
      for (const k of lanes) cells[i][k].textContent = text(k);
  };
}
