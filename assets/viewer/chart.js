// One chart: the sentence that describes it, a legend of buttons, and a plotly figure that comes from Python with no
// colour but those of the metrics. A new value, width or theme draws it again, without a flash and with its zoom.

import { make } from "./dom.js";
import { loadPlotly } from "./plotly.js";
import { swatch } from "./swatch.js";

const BUTTONS = [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]];

// The page's pixel, which grows with the window, in px: the width of an element says how long one is.
function pixel() {
  const probe = document.body.appendChild(make("div"));
  probe.style.cssText = "position: absolute; width: calc(100 * var(--px, 1px))";
  const { width } = probe.getBoundingClientRect();
  probe.remove();
  return width / 100;
}

// Any CSS colour as #rrggbb: plotly does not read what color-mix computes to.
const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function hex(color) {
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = color;
  brush.fillRect(0, 0, 1, 1);
  const rgb = [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
  return `#${rgb.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// The same lightening and darkening as the viewer's .rv-ink.
const dark = () => document.body.classList.contains("dark");
const ink = (color) => hex(`color-mix(in oklab, ${color} ${dark() ? "52%, white" : "84%, black"})`);
const recolored = (figure) => JSON.parse(JSON.stringify(figure, (_, value) =>
  (typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value) ? ink(value) : value)));

// `element`, `props` and `watch` come from Gradio; `address` makes an address of one of the app's paths.
export function mount({ element, props, watch, address }) {
  const root = element.querySelector(".chart");
  const [says, legend, plot] = ["says", "legend", "plot"].map((name) => root.querySelector(`.chart-${name}`));
  const hidden = new Set();         // names of the metrics that are switched off
  const touch = matchMedia("(pointer: coarse)").matches;
  let plotly = null;

  function receive() {
    const figure = props.value?.figure;
    says.textContent = props.value?.says ?? props.empty ?? "";
    root.dataset.state = figure ? "shown" : "empty";
    plot.setAttribute("aria-label", says.textContent);
    draw();
  }

  async function draw() {
    const figure = props.value?.figure;
    if (!figure || !plot.checkVisibility()) return;
    try {
      plotly ??= await loadPlotly(address(props.plotly));
    } catch {
      plot.textContent = "The chart could not be loaded; the sentence above says what it shows.";
      return;
    }
    if (figure !== props.value?.figure) return;         // a newer one has come, and its own call draws it
    const { data, layout } = recolored(figure);
    for (const trace of data) trace.visible = !hidden.has(trace.name);
    dress(layout);
    plot.style.height = `${layout.height}px`;
    await plotly.react(plot, data, layout, { displaylogo: false, showTips: false, modeBarButtons: BUTTONS,
      displayModeBar: touch ? true : "hover", toImageButtonOptions: { scale: 2, filename: root.dataset.name } });
    for (const svg of plot.querySelectorAll(".main-svg")) svg.ariaHidden = "true";  // the sentence says it
    writeLegend(data);
    root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
  }

  function dress(layout) {
    const style = getComputedStyle(root);
    const family = style.fontFamily;
    const size = 12.5 * pixel();
    const of = (name) => hex(style.getPropertyValue(name).trim());
    const [text, muted, line] = ["--body-text-color", "--body-text-color-subdued", "--border-color-primary"].map(of);
    Object.assign(layout, {
      width: plot.clientWidth, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family, size, color: text }, dragmode: touch ? false : "zoom",
      hoverlabel: { bgcolor: of("--background-fill-primary"), bordercolor: line, font: { family, color: text } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: text },
    });
    for (const { font } of layout.annotations ?? []) if (font?.size) font.size *= size / 12.5;
    for (const [name, axis] of Object.entries(layout)) {
      if (!/^[xy]axis/.test(name)) continue;
      Object.assign(axis, { gridcolor: line, linecolor: line, zerolinecolor: line, fixedrange: false });
      if (axis.title) axis.title = { ...axis.title, font: { size, color: muted } };
    }
  }

  function writeLegend(data) {
    const entries = data.filter((trace) => trace.showlegend !== false);
    if (!root.hasAttribute("data-legend")) return;
    while (legend.children.length > entries.length) legend.lastChild.remove();
    entries.forEach((trace, index) => {                 // reused, so that the focus stays
      const item = legend.children[index] ?? legend.appendChild(make("li"));
      const button = item.firstChild ?? item.appendChild(make("button", { type: "button" }));
      button.innerHTML = swatch(trace);
      button.append(trace.name);
      button.setAttribute("aria-pressed", !hidden.has(trace.name));
      button.title = `Show or hide ${trace.name}`;
      button.onclick = () => {
        if (!hidden.delete(trace.name)) hidden.add(trace.name);
        draw();
      };
    });
  }

  let width = 0;
  new ResizeObserver(() => {
    if (root.clientWidth !== width) draw();
    width = root.clientWidth;
  }).observe(root);
  const theme = new MutationObserver(() => (root.isConnected ? draw() : theme.disconnect()));
  theme.observe(document.body, { attributeFilter: ["class"] });
  root.addEventListener("toggle", draw);
  watch("value", receive);
  receive();
}
