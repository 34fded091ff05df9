// A column's verdict: what the classifier says, every class's probability, and the true class's over the steps.

import { make, makeSvg } from "./dom.js";
import { percent } from "./text.js";
import { className, rightAtFirst, shares, shares8bit, top, verdictText } from "./verdicts.js";

// The label is given with a sample; otherwise it is the classifier's own first verdict.
const labelText = (model) =>
  (model.meta.receipt.label_from === "classifier" ? "its verdict before the attack" : "the true class");

export function newVerdict(model) {
  const { classes, label } = model.meta.verdicts;
  const parts = { turn: make("p", { className: "rv-turn" }), outcome: make("p", { className: "rv-outcome" }) };
  const list = make("ul", { className: "rv-classes" });
  list.setAttribute("aria-label", "Probability of each class");
  parts.bars = classes.map((name, k) => {
    const [bar, value] = [make("i"), make("b")];
    const item = make("li", { title: k === label ? `${name}: ${labelText(model)}` : name },
      make("span", { textContent: name }), make("u", {}, bar), value);
    item.classList.toggle("rv-true", k === label);
    list.append(item);
    return { item, bar, value };
  });
  parts.path = makeSvg("path", {});
  parts.cursor = makeSvg("path", { class: "rv-spark-cursor" });
  const spark = makeSvg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    parts.path, parts.cursor);
  parts.caption = make("figcaption");
  parts.root = make("section", { className: "rv-verdict" }, parts.turn, parts.outcome, list,
    make("figure", { className: "rv-spark" }, parts.caption, spark));
  return parts;
}

export function writeVerdict(parts, model, view, lane) {
  const { clean, label } = model.meta.verdicts;
  const now = shares(model, lane, view.step) ?? clean;
  const verdict = top(now);
  parts.turn.replaceChildren(verdictText(model, clean), " → ", make("b", { textContent: verdictText(model, now) }));
  parts.outcome.textContent = outcome(model, verdict, shares8bit(model, lane, view.step));
  parts.root.dataset.fooled = verdict !== label;
  parts.bars.forEach(({ item, bar, value }, k) => {
    bar.style.transform = `scaleX(${now[k]})`;
    value.textContent = percent(now[k]);
    item.classList.toggle("rv-top", k === verdict);
  });
  drawSpark(parts, model, view, lane);
}

function outcome(model, verdict, in8bits) {
  const { label } = model.meta.verdicts;
  const name = className(model, verdict);
  const rounded = in8bits && top(in8bits) !== verdict ? ` In 8 bits: ${className(model, top(in8bits))}.` : "";
  if (!rightAtFirst(model)) return `Wrong before the attack already.${rounded}`;
  return verdict === label ? `Not fooled: it still says ${name}.${rounded}` : `Fooled: it says ${name}.${rounded}`;
}

// The probability of the true class, 0 at the bottom and 1 at the top, over the steps so far.
function drawSpark(parts, model, view, lane) {
  const { label } = model.meta.verdicts;
  const across = (step) => (100 * step) / Math.max(1, model.meta.steps);
  const values = model.curve.distance.map((_, step) => shares(model, lane, step)?.[label] ?? null);
  const d = values.map((p, step) => (p === null ? ""
    : `${(values[step - 1] ?? null) === null ? "M" : "L"}${across(step).toFixed(2)} ${(98 - 96 * p).toFixed(2)}`))
    .join("");
  if (parts.path.getAttribute("d") !== d) parts.path.setAttribute("d", d);
  parts.cursor.setAttribute("d", `M${across(view.step)} 0V100`);
  parts.caption.textContent = `P(${className(model, label)}) over the steps`;
}
