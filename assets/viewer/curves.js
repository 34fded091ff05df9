// The curves: one SVG, drawn when the data change and never while scrubbing; the cursor is a div above it. Its colours
// are the style sheet's, so that it follows the dark mode by itself.

import { newReadout } from "./curves_readout.js";
import { make, makeSvg } from "./dom.js";
import { isPair, lastStep, reading } from "./model.js";
import { laneShortName, metricColor, metricTitle } from "./names.js";
import { rulerMark } from "./ruler.js";
import { boundMarks, hasVerdicts } from "./verdicts.js";

const MARGIN = { left: 3.6, right: 1.3, top: 0.73, bottom: 2.3 };   // in sizes of the text; .rv-cursor knows it too

const TURN = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };  // steps

// Round numbers from low to high, `about` of them: multiples of 1, 2 or 5 times a power of ten.
function roundNumbers(low, high, about) {
  const power = 10 ** Math.floor(Math.log10((high - low) / about));
  const step = [1, 2, 5, 10].map((m) => m * power).find((step) => (high - low) / step <= about);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

export function newCurves(root, model, view, act) {
  const [chart, plot, cursor, legend, logButton] =
    ["chart", "plot", "cursor", "legend", "log"].map((name) => root.querySelector(`.rv-${name}`));
  let scheduled = false;
  let size = { width: 0, height: 0 };     // of the chart; to ask the page for it would make the browser lay it out
  let pointed = null;                     // the step that the pointer is above
  let focused = false;                    // by the keyboard: then the readout stays at the step on show
  const readout = newReadout(chart, model, view);
  const markItem = make("li", { className: "rv-line rv-mark-item", hidden: true });
  let markText = "";
  let em = 11;                            // px, of its text
  const INSET = {};                       // px

  function measure(rect) {
    size = rect;
    em = parseFloat(getComputedStyle(chart).fontSize);
    for (const side of Object.keys(MARGIN)) INSET[side] = MARGIN[side] * em;
  }

  // At most once per frame of the screen.
  function draw() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; drawNow(); });
  }

  function drawNow() {
    logButton.setAttribute("aria-pressed", view.log);
    if (!model.meta || isPair(model) || !size.width) return;
    const marks = rulerMarks();
    const [low, high] = range(marks);
    const bottom = size.height - INSET.bottom;
    const yOf = (value) => bottom - ((height(value) - low) / (high - low)) * (bottom - INSET.top);
    const right = INSET.left + innerWidth();
    plot.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);  // paper has another size
    plot.replaceChildren(
      ...grid(low, high, yOf, right), ...stepLabels(bottom),
      ...marks.map(({ m, distance }) => inked(m, makeSvg("path",
        { class: "rv-mark-line", d: `M${INSET.left} ${yOf(distance).toFixed(1)}H${right}` }))),
      ...model.meta.lanes.flatMap((_, lane) => model.meta.metrics.map((__, m) => curve(lane, m, yOf))),
      ...(hasVerdicts(model) ? marks.map((mark) => markLabel(mark, marks, high - low, yOf)) : []),
    );
    writeMark(marks);
    moveCursor();
  }

  const innerWidth = () => size.width - INSET.left - INSET.right;
  const xOf = (step) => INSET.left + (step / Math.max(1, model.meta.steps)) * innerWidth();
  const height = (value) => (view.log ? Math.log10(value) : value);
  const text = (x, y, anchor, label) =>
    makeSvg("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor }, label);

  // A node in the colour of a metric.
  function inked(m, node) {
    node.classList.add("rv-ink");
    node.style.setProperty("--raw", metricColor(model, m));
    return node;
  }

  function grid(low, high, yOf, right) {
    const figures = view.log ? decades(low, high) : roundNumbers(low, high, 5);
    const lines = figures.map((value) => `M${INSET.left} ${yOf(value).toFixed(1)}H${right}`).join("");
    return [
      makeSvg("path", { class: "rv-grid-line",
        d: `${lines}M${INSET.left} ${INSET.top}V${size.height - INSET.bottom}` }),
      ...figures.map((value) =>
        text(INSET.left - 0.4 * em, yOf(value) + 0.36 * em, "end", String(Number(value.toPrecision(3))))),
    ];
  }

  // Powers of ten; where there are too few of them, twice and five times those as well.
  function decades(low, high) {
    const digits = high - low > 1.3 ? [1] : [1, 2, 5];
    const powers = Array.from({ length: Math.floor(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
    return powers.flatMap((power) => digits.map((digit) => digit * 10 ** power))
      .filter((value) => height(value) >= low - 1e-9 && height(value) <= high + 1e-9);
  }

  const stepLabels = (bottom) => roundNumbers(0, Math.max(1, model.meta.steps), 6).filter(Number.isInteger)
    .map((step) => text(xOf(step), bottom + 1.45 * em, "middle", step ? String(step) : "step 0"));

  function style(lane, m) {
    if (hasVerdicts(model)) return lane ? "rv-dashed" : "rv-solid";
    const name = model.meta.lanes[lane];
    return name === "noise" ? "rv-dotted" : name === model.meta.metrics[m] ? "rv-solid" : "rv-dashed";
  }

  // A reading that is missing, or has no logarithm, leaves a gap.
  function curve(lane, m, yOf) {
    const values = model.curve.distance.map((_, step) => reading(model, "distance", step, lane, m));
    const visible = (value) => value !== null && value !== undefined && (!view.log || value > 0);
    const d = values.map((value, step) => {
      if (!visible(value)) return "";
      return `${visible(values[step - 1]) ? "L" : "M"}${xOf(step).toFixed(1)} ${yOf(value).toFixed(1)}`;
    }).join("");
    return inked(m, makeSvg("path", { class: `rv-curve ${style(lane, m)}`, d }));
  }

  const rulerMarks = () => (hasVerdicts(model) ? boundMarks(model) : model.meta.metrics
    .map((metric, m) => ({ m, ...rulerMark(model, view.ruler, metric) }))).filter((mark) => mark.distance > 0);

  // Rounded outwards to quarters of a decade or to two figures, so that a growing curve seldom moves the axis.
  function range(marks) {
    const all = [...model.curve.distance.flat(2), ...marks.map((mark) => mark.distance)];
    const values = all.filter((v) => v > 0);
    const low = values.reduce((a, b) => Math.min(a, b), 1), high = values.reduce((a, b) => Math.max(a, b), 0.001);
    if (!view.log) return [0, Math.ceil(high * 1.05 * 20) / 20];
    return [Math.floor(4 * Math.log10(low) - 0.3) / 4, Math.ceil(4 * Math.log10(high) + 0.3) / 4];
  }

  // A label sits above its line if the line is the higher one, below it if not, where the curves leave most room.
  function markLabel(mark, marks, span, yOf) {
    const above = marks.every((other, k) => other.distance < mark.distance ||
      (other.distance === mark.distance && k >= marks.indexOf(mark)));    // of two lines in one place, one label below
    const middle = height(mark.distance) + (above ? 0.04 : -0.04) * span;
    const room = (share) => {
      const near = model.curve.distance.filter((_, step) => Math.abs(step / model.meta.steps - share) < 0.12);
      return Math.min(9, ...near.flat(2).filter((v) => v > 0).map((v) => Math.abs(height(v) - middle)));
    };
    // While the curves grow, the label waits where they come last, and does not jump about.
    const places = model.state === "running" ? [0.88] : [0.12, 0.4, 0.65, 0.88];
    const share = places.reduce((best, next) => (room(next) > room(best) ? next : best));
    const anchor = share < 0.2 ? "start" : share > 0.8 ? "end" : "middle";
    const x = INSET.left + { start: 0.01, middle: share, end: 0.99 }[anchor] * innerWidth();
    return inked(mark.m, text(x, yOf(mark.distance) + (above ? -0.4 : 1.1) * em, anchor, mark.text));
  }

  // The ruler's lines have one name, and the colours of the metrics: the legend says it once.
  function writeMark(marks) {
    markItem.hidden = hasVerdicts(model) || !marks.length;
    if (marks.length && marks[0].text !== markText) markItem.textContent = markText = marks[0].text;
  }

  function moveCursor() {
    if (!model.meta) return;
    cursor.style.transform = `translateX(${xOf(view.step)}px)`;
    const step = pointed ?? (focused ? view.step : null);
    readout.show(step, step === null ? 0 : xOf(step) / size.width);
  }

  const known = (step) => Math.min(lastStep(model), Math.max(0, step));

  function stepAt(event) {
    const across = event.clientX - chart.getBoundingClientRect().left - INSET.left;
    return known(Math.round((across / innerWidth()) * model.meta.steps));
  }

  function point(step) {
    if (step === pointed) return;
    pointed = step;
    moveCursor();
  }

  chart.addEventListener("pointerdown", (event) => {
    if (!model.meta) return;
    chart.setPointerCapture(event.pointerId);
    act({ step: stepAt(event) });
  });
  chart.addEventListener("pointermove", (event) => {
    if (!model.meta) return;
    point(stepAt(event));
    if (chart.hasPointerCapture(event.pointerId)) act({ step: pointed });
  });
  for (const end of ["pointerleave", "pointercancel"]) chart.addEventListener(end, () => point(null));
  chart.addEventListener("focus", () => { focused = chart.matches(":focus-visible"); moveCursor(); });
  chart.addEventListener("blur", () => { focused = false; moveCursor(); });
  chart.addEventListener("keydown", (event) => {
    const step = { Home: 0, End: lastStep(model) }[event.key] ?? view.step + TURN[event.key];
    if (Number.isNaN(step) || event.ctrlKey || event.metaKey || event.altKey) return;
    focused = true;
    act({ step });
    event.preventDefault();
  });

  logButton.addEventListener("click", () => {
    act({ log: !view.log });
    draw();
  });

  // Colour says which metric measures, the line's style which picture is measured: five entries, not six curves.
  function writeLegend() {
    const colors = model.meta.metrics.map((_, m) => {
      const item = make("li", { className: "rv-ink rv-swatch", textContent: metricTitle(model, m) });
      item.style.setProperty("--raw", metricColor(model, m));
      return item;
    });
    const names = hasVerdicts(model)
      ? [0, 1].map((lane) => laneShortName(model, lane))
      : ["own attack", "other attack"];
    markItem.hidden = true;
    const styles = [["solid", names[0]], ["dashed", names[1]], ["dotted", "noise"]]
      .slice(0, model.meta.lanes.includes("noise") ? 3 : 2)
      .map(([line, text]) => make("li", { className: `rv-line rv-${line}`, textContent: text }));
    legend.replaceChildren(...colors, ...styles, markItem);
  }

  new ResizeObserver(([entry]) => { measure(entry.contentRect); draw(); }).observe(chart);

  return { draw, moveCursor, writeLegend };
}
