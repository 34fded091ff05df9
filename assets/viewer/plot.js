// A small chart in an SVG: lines over two axes, either of which may be logarithmic. The style sheet gives the colours.

import { makeSvg } from "./dom.js";

const INSET = { left: 34, right: 8, top: 6, bottom: 20 };    // px

// `x` and `y` are axes: {low, high, log, ticks: [[value, text]]}; `lines` are {points: [[x, y]], className, color}.
export function drawPlot(svg, { width, height, x, y, lines, marks = [] }) {
  const place = ({ low, high, log }, from, to) => {
    const scale = (value) => (log ? Math.log10(value) : value);
    return (value) => from + ((scale(value) - scale(low)) / (scale(high) - scale(low))) * (to - from);
  };
  const atX = place(x, INSET.left, width - INSET.right);
  const atY = place(y, height - INSET.bottom, INSET.top);
  const visible = ([a, b]) => Number.isFinite(b) && (!y.log || b > 0) && (!x.log || a > 0);
  const clip = (value) => Math.min(height - INSET.bottom, Math.max(INSET.top, value));
  const path = (points) => points.filter(visible)
    .map(([a, b], i) => `${i ? "L" : "M"}${atX(a).toFixed(1)} ${clip(atY(b)).toFixed(1)}`).join("");
  const grid = y.ticks.map(([value]) => `M${INSET.left} ${atY(value).toFixed(1)}H${width - INSET.right}`).join("");
  const label = (a, b, anchor, text) =>
    makeSvg("text", { x: a.toFixed(1), y: b.toFixed(1), "text-anchor": anchor }, text);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(
    makeSvg("path", { class: "rv-grid-line", d: grid }),
    ...marks.map((value) => makeSvg("path",
      { class: "rv-plot-cursor", d: `M${atX(value).toFixed(1)} ${INSET.top}V${height - INSET.bottom}` })),
    ...y.ticks.map(([value, text]) => label(INSET.left - 4, atY(value) + 4, "end", text)),
    ...x.ticks.map(([value, text]) => label(atX(value), height - 5, "middle", text)),
    ...lines.map(({ points, className, color }) => {
      const line = makeSvg("path", { class: `rv-plot-line rv-ink ${className}`, d: path(points) });
      line.style.setProperty("--raw", color);
      return line;
    }),
  );
}

// Powers of ten from low to high.
export function decadeTicks(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i))
    .map((value) => [value, String(Number(value.toPrecision(1)))]);
}
