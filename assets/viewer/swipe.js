// In a narrow window the columns lie side by side, to be swiped. A line above them keeps the numbers of the column on
// show in view, and dots say which one that is. The style sheet (touch.css) shows both there alone.

import { make } from "./dom.js";
import { isPair, reading } from "./model.js";
import { laneColor, laneName, metricColor, metricTitle } from "./names.js";
import { PHONE } from "./phone.js";
import { rulerText } from "./ruler.js";
import { number } from "./text.js";
import { hasVerdicts, shares, verdictText } from "./verdicts.js";

export function newSwipe(root, model, view, columns) {
  const find = (name) => root.querySelector(`.rv-${name}`);
  const [area, line, dots] = ["columns", "now", "dots"].map(find);
  let at = 0;                         // the column on show
  let cells = [];

  // A part of the line: [what it is about, its colour, its large text and its small one at a lane].
  const parts = () => [
    ...(hasVerdicts(model) ? [["classifier", "", (lane) => [verdict(lane), ""]]] : []),
    ...model.meta.metrics.map((name, m) => [metricTitle(model, m), metricColor(model, m), (lane) => {
      const distance = reading(model, "distance", view.step, lane, m);
      return [distance === null ? "–" : number(distance), rulerText(model, view.ruler, name, distance).long];
    }]),
  ];

  const verdict = (lane) => verdictText(model, shares(model, lane, view.step) ?? model.meta.verdicts.clean);

  function build() {
    cells = parts().map(([title, color, texts]) => {
      const [large, small] = [make("b"), make("small")];
      const cell = make("p", { className: color ? "rv-ink" : "" }, make("span", { textContent: title }), large, small);
      if (color) cell.style.setProperty("--raw", color);
      return { cell, large, small, texts };
    });
    line.replaceChildren(...cells.map(({ cell }) => cell));
    line.style.setProperty("--cells", cells.length);
    dots.hidden = columns().length < 2;
    dots.replaceChildren(...columns().map((column, index) =>
      make("button", { type: "button", onclick: () => goTo(column, index) }, make("i"))));
    arrange();
  }

  function goTo(column, index) {
    const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const left = column.root.offsetLeft - columns()[0].root.offsetLeft;
    area.scrollTo({ left, behavior: smooth ? "smooth" : "instant" });
    at = index;
    show();
  }

  // The choice of the ruler leaves the scrubber the room.
  function arrange() {
    const field = find("ruler").parentElement;
    if (PHONE.matches) find("layers").append(field);
    else find("reset").before(field);
  }

  function show() {
    const lane = view.lanes[at] ?? view.lanes[0];
    for (const { large, small, texts } of cells) [large.textContent, small.textContent] = texts(lane);
    for (const [index, dot] of [...dots.children].entries()) {
      dot.ariaLabel = isPair(model) ? "" : laneName(model, view.lanes[index]);
      dot.ariaCurrent = index === at ? "true" : null;
      dot.style.setProperty("--raw", laneColor(model, view.lanes[index]));
    }
  }

  area.addEventListener("scroll", () => {
    const now = Math.min(columns().length - 1, Math.round(area.scrollLeft / area.clientWidth));
    if (now === at || now < 0) return;
    at = now;
    show();
  }, { passive: true });
  PHONE.addEventListener("change", arrange);

  return { build, show };
}
