// The readout at the curves' cursor: a step, the distances that its attacks have reached, and how far that is.

import { make } from "./dom.js";
import { readoutLines } from "./duel_text.js";
import { lastStep } from "./model.js";
import { metricColor } from "./names.js";

export function newReadout(chart, model, view) {
  const box = make("div", { className: "rv-readout", hidden: true });
  box.setAttribute("aria-hidden", "true");      // the chart says the same as its value
  chart.append(box);

  // At a step, which lies at a share of the chart's width; null for none.
  function show(step, share) {
    chart.setAttribute("aria-valuemax", lastStep(model));
    chart.setAttribute("aria-valuenow", view.step);
    chart.setAttribute("aria-valuetext", sentence(view.step));
    box.hidden = step === null;
    if (step === null) return;
    box.style.left = share < 0.5 ? `calc(${100 * share}% + 10px)` : "auto";
    box.style.right = share < 0.5 ? "auto" : `calc(${100 * (1 - share)}% + 10px)`;
    box.replaceChildren(make("b", { textContent: `step ${step}` }), ...lines(step).map(({ m, text }) => {
      const line = make("span", { className: "rv-ink", textContent: text });
      line.style.setProperty("--raw", metricColor(model, m));
      return line;
    }));
  }

  const lines = (step) => readoutLines(model, step, view.ruler);
  const sentence = (step) => [`step ${step}`, ...lines(step).map(({ text }) => text)].join("; ");

  return { show };
}
