// A column: one lane's pictures and readings. It is built once per run, and then only painted and written into.

import { paint } from "./canvas.js";
import { amplifiedChange, attackedImage, startPixels } from "./decode.js";
import { fromTemplate, options } from "./dom.js";
import { newEye, showEye } from "./eye.js";
import { flowImage, moveSizes } from "./flow.js";
import { GRID, newLayerGrid, paintLayerGrid, paintMaps } from "./layers.js";
import { frameAt, isPair } from "./model.js";
import { laneColor, laneName, metricTitle } from "./names.js";
import { newMapPicture, newPerturbationPicture, newWipePicture } from "./picture.js";
import { newReading, writeReading } from "./reading.js";
import { number } from "./text.js";
import { newVerdict, writeVerdict } from "./verdict.js";
import { hasVerdicts } from "./verdicts.js";

export function newColumn(root, model, view, index, act) {
  const column = { index, root: fromTemplate(root, "column") };
  const metrics = model.meta.metrics.map((_, m) => m);
  column.main = [
    newWipePicture(root, model, view, act),
    newPerturbationPicture(root, model, view, act),
    ...metrics.map((m) => newMapPicture(root, model, m)),
  ];
  column.pictures = column.main;
  column.grid = column.root.querySelector(".rv-grid-of-layers");
  column.readings = metrics.map((m) => newReading(root, model, m));
  column.verdict = hasVerdicts(model) ? newVerdict(model) : null;
  const pictures = column.root.querySelector(".rv-pictures");
  pictures.append(...column.main.map((picture) => picture.figure));
  column.eye = hasVerdicts(model) ? null : newEye(root);
  if (column.eye) pictures.append(column.eye.root);
  column.framed = () => [...column.pictures, ...(column.eye ? [column.eye.picture] : [])];
  const side = [column.verdict, ...column.readings].filter(Boolean);
  column.root.querySelector(".rv-side").append(...side.map((part) => part.root));
  const lane = column.root.querySelector(".rv-lane");
  lane.append(...options(model.meta.lanes.map((_, k) => [k, laneName(model, k)]), view.lanes[index]));
  lane.disabled = model.meta.lanes.length < 2;
  lane.onchange = () => act({ lanes: view.lanes.map((k, i) => (i === index ? Number(lane.value) : k)) });
  return column;
}

// The pictures, or in their place the grid of every layer's map, which is built when it is wanted.
function layOut(column, root, model, view) {
  const grid = view.layer === GRID, opened = Boolean(view.own);
  if (column.grid.hidden !== grid && (!grid || column.opened === opened)) return;
  column.opened = opened;             // whether the visitor's own metric has a place in it
  column.grid.hidden = !grid;
  column.root.querySelector(".rv-pictures").hidden = grid;
  column.grid.replaceChildren();
  column.pictures = grid ? newLayerGrid(root, model, column.grid, opened) : column.main;
}

export function showColumn(column, root, model, view, cache) {
  layOut(column, root, model, view);
  const lane = view.lanes[column.index];
  column.root.style.setProperty("--raw", laneColor(model, lane));
  markOwnMap(column, model, lane);
  paintColumn(column, model, view, lane, cache);
  for (const [m, parts] of column.readings.entries()) writeReading(parts, model, view, lane, m);
  if (column.eye) showEye(column.eye, model, lane);
  if (column.verdict) writeVerdict(column.verdict, model, view, lane);
}

// The projector shows one map of a column: by the metric that its picture was attacked on.
function markOwnMap(column, model, lane) {
  const own = model.meta.metrics.indexOf(model.meta.lanes[lane]);
  const mine = own < 0 ? Math.min(column.index, model.meta.metrics.length - 1) : own;   // noise has none
  for (const { figure, metric } of column.main)
    figure.classList.toggle("rv-own", metric === mine);
}

function paintColumn(column, model, view, lane, cache) {
  const frame = frameAt(model, lane, view.step, true);
  const [wipe, perturbation, ...maps] = column.main;
  const grid = view.layer === GRID;
  const source = model.pixels[view.against];
  if (source) paint(wipe.original, source);
  perturbation.factor.value = view.factor;
  perturbation.showMoves?.(view.moves);
  const start = startPixels(model);
  if (!frame || !start) return;
  column.frame = frame;
  const key = `${frame.decoded.id}.${lane}`;
  column.attacked = cache.get(`attacked ${key}`, () => attackedImage(model, frame, lane));
  paint(wipe.canvas, column.attacked);
  const moves = perturbation.showMoves && view.moves;
  paint(perturbation.canvas, moves
    ? cache.get(`moves ${key}`, () => flowImage(model, frame, lane, column.attacked, start))
    : cache.get(`perturbation ${key} ${view.factor}`, () => amplifiedChange(column.attacked, start, view.factor)));
  if (grid) paintLayerGrid(column.pictures, model, view, frame, lane, cache);
  else paintMaps(maps, model, view, frame, lane, cache);
  describePictures(column, model, view, lane, frame);
}

function describePictures(column, model, view, lane, frame) {
  const [wipe, perturbation, ...maps] = column.main;
  const name = laneName(model, lane);
  const noise = model.meta.lanes[lane] === "noise";
  wipe.state.textContent = isPair(model) ? "second" : noise ? "with noise" : "attacked";
  wipe.keyframe.textContent = isPair(model) || noise ? "" : `, step ${frame.step}`;
  const label = (picture, text) => picture.canvas.setAttribute("aria-label", text);
  const at = isPair(model) ? "" : ` after step ${frame.step}`;
  label(wipe, `${model.meta.name}: ${name}${at}, with a wipe against the original`);
  const moved = perturbation.showMoves && view.moves && moveSizes(frame, lane);
  label(perturbation, moved
    ? `${name}: where things are moved${at}, as arrows and colours; ${number(moved.mean)} pixels on average, at most `
      + `${number(moved.most)}`
    : `${name}: the change${at}, amplified ${view.factor} times around grey`);
  const layer = model.meta.layers[view.layer] ?? "all layers";
  for (const map of maps)
    label(map, `${name}: where ${metricTitle(model, map.metric)} sees a difference${at}, ${layer}`);
}
