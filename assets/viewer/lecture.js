// What a lecturer would say of one step of two attacks on a classifier.

import { reading } from "./model.js";
import { metricTitle } from "./names.js";
import { number } from "./text.js";
import { attackOf, className, rightAtFirst, shares, top } from "./verdicts.js";

export function lecture(model, step) {
  const lanes = model.meta.lanes.map((_, lane) => lane);
  const verdicts = lanes.map((lane) => shares(model, lane, step)).map((p) => (p ? top(p) : null));
  if (verdicts.includes(null)) return "";
  return `${outcomeText(model, verdicts)} ${metricsText(model, lanes, step)}`;
}

function outcomeText(model, verdicts) {
  const { label, clean } = model.meta.verdicts;
  const name = (index) => className(model, index);
  const a = (index) => `${/^[aeiou]/.test(name(index)) ? "an" : "a"} ${name(index)}`;
  const titles = verdicts.map((_, lane) => attackOf(model, lane).title);
  if (!rightAtFirst(model))
    return `The classifier took this ${name(label)} for ${a(top(clean))} before any attack, so there was nothing to `
      + "turn.";
  const turned = verdicts.map((verdict) => verdict !== label);
  if (!turned.some(Boolean)) return `Neither attack fools the classifier: it still says ${name(label)} to both.`;
  if (turned.every(Boolean))
    return verdicts[0] === verdicts[1]
      ? `Both attacks turn the ${name(label)} into ${a(verdicts[0])}.`
      : `${titles[0]} turns the ${name(label)} into ${a(verdicts[0])}, ${titles[1]} into ${a(verdicts[1])}.`;
  const by = turned.indexOf(true);
  return `${titles[by]} turns the ${name(label)} into ${a(verdicts[by])}; ${titles[1 - by]} fails: still ${a(label)}.`;
}

function metricsText(model, lanes, step) {
  const each = model.meta.metrics.map((_, m) => {
    const values = lanes.map((lane) => number(reading(model, "distance", step, lane, m)));
    const title = metricTitle(model, m);
    return m ? `${title} calls them ${values.join(" and ")}`
      : `${title} calls the first change ${values.join(", the second ")}`;
  });
  return `${each.join("; ")}.`;
}
