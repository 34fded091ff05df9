// Which layers the maps show: one, the sum of all, or a grid of every layer's map; and on which scale their
// colours are.

import { paint } from "./canvas.js";
import { make } from "./dom.js";
import { DECADES } from "./heat.js";
import { hasLayerMaps, heatImage, layerValues, summedValues } from "./maps.js";
import { reading } from "./model.js";
import { metricColor, metricTitle, YOURS } from "./names.js";
import { newLayerPicture } from "./picture.js";
import { growth, number, percent, shortNumber } from "./text.js";

// What `view.layer` is, if it is not the place of a layer.
export const ALL = "all";
export const GRID = "grid";

// ---- the bar and its keys

const EARLIER = "This trace was saved before the maps of single layers and the channels were kept.";

export function writeLayerBar(root, model, act) {
  const button = (value, text, key, title) => {
    const node = make("button", { type: "button", className: "rv-button", textContent: text, title });
    node.dataset.layer = value;
    if (key) node.append(make("kbd", { textContent: key }));
    node.onclick = () => act({ layer: value });
    return node;
  };
  const layers = model.meta.layers.map((name, index) =>
    button(index, name, index < 9 ? String(index + 1) : "", `Maps of ${name} alone`));
  const grid = button(GRID, "All layers", "", "Every layer's map at its own resolution");
  const single = !hasLayerMaps(model) ? [make("span", { className: "rv-earlier", textContent: EARLIER })]
    : layers.length < 2 ? [] : [...layers, grid];
  root.querySelector(".rv-choices").replaceChildren(button(ALL, "sum", "0", "The sum of all layers"), ...single);
}

export function showLayerBar(root, view) {
  const shown = view.projector === "pictures" ? null : String(view.layer);
  for (const node of root.querySelectorAll(".rv-choices .rv-button"))
    node.setAttribute("aria-pressed", String(node.dataset.layer === shown));
  root.querySelector(".rv-scale").value = view.scale;
  root.classList.toggle("rv-all-layers", view.layer === GRID);
}

// What a key chooses: 1 to 9 a layer, 0 their sum; undefined for any other key.
export function layerOfKey(model, event) {
  const editing = event.target.closest?.("textarea, [contenteditable], select, input:not([type=range])");
  if (editing || event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return undefined;
  if (event.key === "0") return ALL;
  return hasLayerMaps(model) && Number(event.key) <= model.meta.layers.length ? Number(event.key) - 1 : undefined;
}

// ---- values and colours

// The values of a map on show; null where the metric has no such layer.
export function valuesOf(model, frame, lane, metric, layer, cache) {
  const key = `values ${frame.decoded.id}.${lane} ${metric} ${layer}`;
  const none = { data: [] };
  const values = cache.get(key, () =>
    (layer === ALL ? summedValues(model, frame, lane, metric) : layerValues(frame, lane, metric, layer)) ?? none);
  if (!values.width) return null;
  // Enlarged to the picture, a sum may be a little larger than the server knows from the finest layer's resolution.
  if (layer === ALL) model.mapPeak[metric] = Math.max(model.mapPeak[metric], values.top);
  return values;
}

// The brightest value of the common scale: of all metrics, lanes and steps, so that colours can be compared across
// the page.
function commonTop(model, layer) {
  if (layer === ALL) return Math.max(...model.mapPeak);
  const peaks = model.layerMapPeak;
  return Math.max(...peaks.flatMap((layers) => (layer === GRID ? layers : [layers[layer]])));
}

function scaleOf(model, view, values) {
  const log = view.scale === "log";
  const top = view.scale === "own" ? values.top : commonTop(model, view.layer);
  return { top, log, bottom: log ? top / 10 ** DECADES : 0 };
}

// The ratio of a map's maximum to the largest of the other metrics'.
function ratioText(all, index) {
  const others = all.filter((values, i) => values && i !== index).map((values) => values.top);
  return others.length ? growth(Math.max(...others), all[index].top) : "";
}

function paintValues(picture, model, view, values, key, cache) {
  const { top, log, bottom } = scaleOf(model, view, values);
  picture.values = values;
  paint(picture.canvas, cache.get(`heat ${key} ${top} ${log}`, () => heatImage(values, top, log)));
  return { top, bottom };
}

const nothing = new ImageData(1, 1);

function paintNothing(picture) {
  picture.values = null;
  paint(picture.canvas, nothing);
}

// The maps of a column: one layer, or the sum of all.
export function paintMaps(pictures, model, view, frame, lane, cache) {
  const layer = view.layer === GRID ? ALL : view.layer;
  const all = pictures.map(({ metric }) => valuesOf(model, frame, lane, metric, layer, cache));
  pictures.forEach((picture, index) => {
    const values = all[index];
    picture.figure.classList.toggle("rv-squares", layer !== ALL);
    picture.figure.classList.toggle("rv-no-map", !values);
    if (!values) {
      picture.most.textContent = `has no ${model.meta.layers[layer]}`;
      picture.ratio.textContent = "";
      paintNothing(picture);
      return;
    }
    const key = `${frame.decoded.id}.${lane} ${picture.metric} ${layer}`;
    const { top, bottom } = paintValues(picture, model, view, values, key, cache);
    picture.bottom.textContent = shortNumber(bottom);
    picture.top.textContent = shortNumber(top);
    picture.most.textContent = view.scale === "own" ? "" : `max ${shortNumber(values.top)}`;
    picture.ratio.textContent = ratioText(all, index);
  });
}

// ---- the grid of all layers

// Rows are layers, columns metrics, and last the visitor's own if it is `opened`; returns its pictures.
export function newLayerGrid(root, model, host, opened) {
  const metrics = [...model.meta.metrics.map((_, m) => m), ...(opened ? [null] : [])];
  host.style.setProperty("--metrics", metrics.length);
  host.classList.toggle("rv-three", metrics.length > 2);
  const heads = metrics.map((m) => {
    const head = make("span", { className: "rv-ink", textContent: titleOf(model, m) });
    head.style.setProperty("--raw", m === null ? YOURS.color : metricColor(model, m));
    return head;
  });
  const rows = model.meta.layers.map((name, layer) => {
    const pictures = metrics.map((m) => newLayerPicture(root, m, layer));
    return { pictures, nodes: [make("span", { textContent: name }), ...pictures.map((picture) => picture.figure)] };
  });
  host.replaceChildren(make("span"), ...heads, ...rows.flatMap((row) => row.nodes));
  return rows.flatMap((row) => row.pictures);
}

const titleOf = (model, m) => (m === null ? YOURS.title : metricTitle(model, m));

export function paintLayerGrid(pictures, model, view, frame, lane, cache) {
  const shareOf = (m, layer) => {
    if (m === null) return view.own.share(lane, layer);
    const distance = reading(model, "distance", view.step, lane, m);
    const share = reading(model, "per_layer", view.step, lane, m, layer);
    return share === null || !distance ? null : share / distance;
  };
  const rows = model.meta.layers.map((_, layer) => [
    ...model.meta.metrics.map((_, m) => valuesOf(model, frame, lane, m, layer, cache)),
    ...(view.own ? [view.own.values(frame, lane, layer)] : [])]);
  for (const picture of pictures) {
    const { metric, layer } = picture, row = rows[layer];
    const place = metric ?? row.length - 1;
    const values = row[place];
    picture.figure.classList.toggle("rv-no-map", !values);
    if (!values) { paintNothing(picture); continue; }
    if (metric === null) paintOwn(picture, model, view, values);
    else paintValues(picture, model, view, values, `${frame.decoded.id}.${lane} ${metric} ${layer}`, cache);
    const share = shareOf(metric, layer);
    picture.most.textContent = `max ${number(values.top)}`;
    picture.ratio.textContent = ratioText(row, place);
    picture.share.textContent = share === null ? "" : `share ${percent(share)}`;
    const name = `${model.meta.layers[layer]}: where ${titleOf(model, metric)} sees a difference`;
    picture.canvas.setAttribute("aria-label", name);
  }
}

// Not from the cache, as it changes with every move of a slider. On a common scale nothing is brighter than the
// brightest colour.
export function paintOwn(picture, model, view, values) {
  const scale = scaleOf(model, view, values), top = Math.max(scale.top, values.top);
  const same = picture.values === values && picture.top === top && picture.log === scale.log;
  if (same && picture.canvas.width === values.width) return;
  Object.assign(picture, { values, top, log: scale.log });
  paint(picture.canvas, heatImage(values, top, scale.log));
}
