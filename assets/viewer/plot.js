// A small chart in an SVG: lines over two axes, either of which may be logarithmic. The style sheet gives the colours.

import { makeSvg } from "./dom.js";

const INSET = { left: 34, right: 8, top: 6, bottom: 20 };    // px

const plots = new WeakMap();          // svg -> what is drawn: {axes, cursor, lines: [{node, points}], group}

// `x` and `y` are axes: {low, high, log, ticks: [[value, text]]}; `lines` are {points: [[x, y]], className, color};
// `marks` are places on x. Drawn again, only what is new is made anew; a line of the same array of points stays.
export function drawPlot(svg, { width, height, x, y, lines, marks = [] }) {
  const place = ({ low, high, log }, from, to) => {
    const scale = (value) => (log ? Math.log10(value) : value);
    return (value) => from + ((scale(value) - scale(low)) / (scale(high) - scale(low))) * (to - from);
  };
  const atX = place(x, INSET.left, width - INSET.right);
  const atY = place(y, height - INSET.bottom, INSET.top);
  const axes = JSON.stringify([width, height, x, y]);
  if (plots.get(svg)?.axes !== axes) drawAxes();
  const plot = plots.get(svg);
  const cursor = marks.map((value) => `M${atX(value).toFixed(1)} ${INSET.top}V${height - INSET.bottom}`).join("");
  if (plot.cursor.getAttribute("d") !== cursor) plot.cursor.setAttribute("d", cursor);
  for (const line of plot.lines.splice(lines.length)) line.node.remove();
  for (const [i, { points, className, color }] of lines.entries()) {
    plot.lines[i] ??= { node: plot.group.appendChild(makeSvg("path", {})) };
    const line = plot.lines[i];
    if (line.points !== points) line.node.setAttribute("d", path(points));
    if (line.className !== className) line.node.setAttribute("class", `rv-plot-line rv-ink ${className}`);
    if (line.color !== color) line.node.style.setProperty("--raw", color);
    Object.assign(line, { points, className, color });
  }

  function drawAxes() {
    const grid = y.ticks.map(([value]) => `M${INSET.left} ${atY(value).toFixed(1)}H${width - INSET.right}`).join("");
    const label = (a, b, anchor, text) =>
      makeSvg("text", { x: a.toFixed(1), y: b.toFixed(1), "text-anchor": anchor }, text);
    const [cursor, group] = [makeSvg("path", { class: "rv-plot-cursor" }), makeSvg("g", {})];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(makeSvg("path", { class: "rv-grid-line", d: grid }), cursor,
      ...y.ticks.map(([value, text]) => label(INSET.left - 4, atY(value) + 4, "end", text)),
      ...x.ticks.map(([value, text]) => label(atX(value), height - 5, "middle", text)), group);
    plots.set(svg, { axes, cursor, group, lines: [] });
  }

  function path(points) {
    const visible = ([a, b]) => Number.isFinite(b) && (!y.log || b > 0) && (!x.log || a > 0);
    const clip = (value) => Math.min(height - INSET.bottom, Math.max(INSET.top, value));
    return points.filter(visible)
      .map(([a, b], i) => `${i ? "L" : "M"}${atX(a).toFixed(1)} ${clip(atY(b)).toFixed(1)}`).join("");
  }
}

// Powers of ten from low to high.
export function decadeTicks(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i))
    .map((value) => [value, String(Number(value.toPrecision(1)))]);
}
