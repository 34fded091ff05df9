// In a narrow window the columns lie side by side, to be swiped. A line above them keeps the numbers of the column on
// show in view, and dots say which one that is. The style sheet (touch.css) shows both there alone.

import { make } from "./dom.js";
import { reading } from "./model.js";
import { laneColor, laneName, metricColor, metricTitle } from "./names.js";
import { PHONE } from "./narrow.js";
import { rulerText } from "./ruler.js";
import { number } from "./text.js";
import { hasVerdicts, shares, verdictText } from "./verdicts.js";

export function newSwipe(root, model, view, columns) {
  const find = (name) => root.querySelector(`.rv-${name}`);
  const [area, line, dots] = ["columns", "now", "dots"].map(find);
  let at = 0;                         // the column on show
  let cells = [];
  let labelled = "";                  // the lanes that the dots are named after

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
      return { cell, nodes: [large, small], texts, said: [] };
    });
    line.replaceChildren(...cells.map(({ cell }) => cell));
    line.style.setProperty("--cells", cells.length);
    dots.hidden = columns().length < 2;
    labelled = "";
    dots.replaceChildren(...columns().map((column) =>
      make("button", { type: "button", onclick: () => goTo(column) }, make("i"))));
    arrange();
  }

  function goTo(column) {
    const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const left = column.root.offsetLeft - columns()[0].root.offsetLeft;
    area.scrollTo({ left, behavior: smooth ? "smooth" : "instant" });
  }

  // The choice of the ruler leaves the scrubber the room.
  function arrange() {
    const field = find("ruler").parentElement;
    if (PHONE.matches) find("layers").append(field);
    else find("reset").before(field);
  }

  function show() {
    const lane = view.lanes[at] ?? view.lanes[0];
    for (const cell of cells) {
      const texts = cell.texts(lane);
      for (const [k, node] of cell.nodes.entries()) if (texts[k] !== cell.said[k]) node.textContent = texts[k];
      cell.said = texts;
    }
    if (labelled !== String(view.lanes)) nameDots();
    for (const [index, dot] of [...dots.children].entries()) dot.ariaCurrent = index === at ? "true" : null;
  }

  function nameDots() {
    labelled = String(view.lanes);
    for (const [index, dot] of [...dots.children].entries()) {
      dot.ariaLabel = laneName(model, view.lanes[index]);
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
