// One metric's reading of a lane: its distance, the ruler's text for it, and a bar per layer.

import { fromTemplate, make } from "./dom.js";
import { reading } from "./model.js";
import { metricColor, metricTitle } from "./names.js";
import { rulerText } from "./ruler.js";
import { number } from "./text.js";

export function newReading(root, model, metric) {
  const section = fromTemplate(root, "reading");
  section.style.setProperty("--raw", metricColor(model, metric));
  section.querySelector("h3").textContent = metricTitle(model, metric);
  const bars = section.querySelector(".rv-bars");
  bars.setAttribute("aria-label", `Share of each layer in ${metricTitle(model, metric)}`);
  const layers = model.meta.layers.map((layer) => {
    const [bar, value] = [make("i"), make("b")];
    const row = make("li", {}, make("span", { textContent: layer }), make("u", {}, bar), value);
    bars.append(row);
    return { row, bar, value };
  });
  const [distance, text] = [".rv-distance", ".rv-words"].map((name) => section.querySelector(name));
  return { root: section, distance, text, layers };
}

export function writeReading(parts, model, view, lane, metric) {
  const distance = reading(model, "distance", view.step, lane, metric);
  parts.distance.textContent = distance === null ? "–" : number(distance);
  parts.text.textContent = rulerText(model, view.ruler, model.meta.metrics[metric], distance).long;
  parts.layers.forEach(({ row, bar, value }, layer) => {
    const share = reading(model, "per_layer", view.step, lane, metric, layer);
    row.hidden = share === 0 && distance > 0;  // a layer of another metric
    bar.style.transform = `scaleX(${model.layerPeak[metric] ? (share || 0) / model.layerPeak[metric] : 0})`;
    value.textContent = share === null ? "–" : number(share, 3);
  });
}
