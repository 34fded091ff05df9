// How lanes and metrics are called, and their colours.

import { attackOf, boundText, hasVerdicts } from "./verdicts.js";

export const metricTitle = (model, m) => model.meta.titles[model.meta.metrics[m]] || model.meta.metrics[m];

// A visitor's own metric.
export const BEFORE = "yours before";  // the one that was attacked last, in a duel with the new one
export const YOURS = { name: "yours", title: "yours", color: "#CC79A7" };

const color = (model, name) => model.meta.colors[name] || (name === YOURS.name ? YOURS.color : null);

export const metricColor = (model, m) => color(model, model.meta.metrics[m]) || "#777777";

export const laneColor = (model, lane) => color(model, model.meta.lanes[lane]) || "var(--muted)";

export function laneName(model, lane) {
  const name = model.meta.lanes[lane];
  if (name === "pair") return "The two pictures";
  if (name === "noise") return `${model.meta.norm === "flow" ? "Random moves" : "Noise"} of the same budget`;
  if (hasVerdicts(model)) return `${attackOf(model, lane).title}, ${boundText(model, lane)}`;
  return `Attacked against ${model.meta.titles[name] || name}`;
}

export const laneShortName = (model, lane) =>
  ({ pair: "second picture", noise: "noise" })[model.meta.lanes[lane]] ||
  (hasVerdicts(model) && attackOf(model, lane).title) ||
  `against ${model.meta.titles[model.meta.lanes[lane]] || model.meta.lanes[lane]}`;
