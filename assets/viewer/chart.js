// One chart: the sentence that says what it shows, a legend of buttons, and a plotly figure that comes from Python without
// any colour but those of the metrics. Drawn again, without a flash and keeping the zoom, when the value, the width or
// the theme changes. A module, served once for all charts; `element`, `props` and `watch` come from Gradio.

const DASHES = { solid: "", dash: "7 4", dot: "2 3" };
const BUTTONS = [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]];

// Loaded once for the page, when the first chart is to be drawn: 4.8 MB, 1.4 compressed.
function loadPlotly(url) {
  window.rvPlotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = Object.assign(document.createElement("script"), { src: url, async: true });
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject());
    script.onerror = () => reject();
    document.head.append(script);
  });
  return window.rvPlotly;
}

// Any CSS colour as #rrggbb: plotly does not read what color-mix computes to.
const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function hex(color) {
  brush.clearRect(0, 0, 1, 1);
  brush.fillStyle = color;
  brush.fillRect(0, 0, 1, 1);
  return `#${[...brush.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// The same lightening and darkening as the viewer's .rv-ink.
const dark = () => document.body.classList.contains("dark");
const ink = (color) => hex(`color-mix(in oklab, ${color} ${dark() ? "70%, white" : "88%, black"})`);
const recolored = (figure) => JSON.parse(JSON.stringify(figure, (_, value) =>
  (typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value) ? ink(value) : value)));

export function mount(element, props, watch, plotlyUrl) {
  const root = element.querySelector(".chart");
  const [says, legend, plot] = ["says", "legend", "plot"].map((name) => root.querySelector(`.chart-${name}`));
  const hidden = new Set();         // names of the metrics that were switched off
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
    if (!figure || !root.clientWidth) return;
    try {
      plotly ??= await loadPlotly(plotlyUrl);
    } catch {
      plot.textContent = "The chart could not be loaded; the sentence above says what it shows.";
      return;
    }
    if (figure !== props.value?.figure) return;         // a newer one came meanwhile, and is drawn by its own call
    const { data, layout } = recolored(figure);
    for (const trace of data) trace.visible = !hidden.has(trace.name);
    dress(layout);
    plot.style.height = `${layout.height}px`;
    await plotly.react(plot, data, layout, { displaylogo: false, showTips: false, displayModeBar: touch ? true : "hover",
      modeBarButtons: BUTTONS, toImageButtonOptions: { scale: 2, filename: root.dataset.name } });
    writeLegend(data);
    root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
  }

  function dress(layout) {
    const style = getComputedStyle(root);
    const of = (name) => hex(style.getPropertyValue(name).trim());
    const [text, muted, line] = ["--body-text-color", "--body-text-color-subdued", "--border-color-primary"].map(of);
    Object.assign(layout, {
      width: plot.clientWidth, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: style.fontFamily, size: 12.5, color: text }, dragmode: touch ? false : "zoom",
      hoverlabel: { bgcolor: of("--background-fill-primary"), bordercolor: line, font: { family: style.fontFamily, color: text } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: text },
    });
    for (const [name, axis] of Object.entries(layout)) {
      if (!/^[xy]axis/.test(name)) continue;
      Object.assign(axis, { gridcolor: line, linecolor: line, zerolinecolor: line, fixedrange: false });
      if (axis.title) axis.title = { ...axis.title, font: { size: 12.5, color: muted } };
    }
  }

  function writeLegend(data) {
    const entries = data.filter((trace) => trace.showlegend !== false);
    if (!root.hasAttribute("data-legend")) return;
    while (legend.children.length > entries.length) legend.lastChild.remove();
    entries.forEach((trace, index) => {                 // kept, not replaced, so that the focus stays
      const item = legend.children[index] ?? legend.appendChild(document.createElement("li"));
      const button = item.firstChild ?? item.appendChild(document.createElement("button"));
      button.type = "button";
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

  function swatch({ type, line, marker, name }) {
    const color = line?.color ?? marker?.color;
    if (type === "bar") {
      const shape = { "/": "M0 12L12 0M-3 3L3-3M9 15L15 9M-3 9L9-3M3 15L15 3", ".": "M3 3h1M8 3h1M3 8h1M8 8h1" }[marker.pattern?.shape];
      return `<svg width="14" height="12" viewBox="0 0 14 12" aria-hidden="true"><rect width="14" height="12" rx="2" fill="${color}"/>`
        + `${shape ? `<path d="${shape}" stroke="#fff" stroke-width="1.2" opacity=".75"/>` : ""}</svg>`;
    }
    const shapes = { circle: `<circle cx="15" cy="6" r="4.5"/>`, square: `<rect x="11" y="2" width="8" height="8"/>`,
      diamond: `<path d="M15 .5L20.500 6L15 11.500L9.500 6Z"/>` };
    return `<svg width="30" height="12" viewBox="0 0 30 12" fill="${color}" aria-hidden="true"><path d="M0 6H30" stroke="${color}" `
      + `stroke-width="2.4" stroke-dasharray="${DASHES[line.dash] ?? ""}"/>${shapes[marker?.symbol] ?? ""}</svg>`;
  }

  let width = 0;
  new ResizeObserver(() => {
    if (root.clientWidth !== width) draw();
    width = root.clientWidth;
  }).observe(root);
  const theme = new MutationObserver(() => (root.isConnected ? draw() : theme.disconnect()));
  theme.observe(document.body, { attributeFilter: ["class"] });
  watch("value", receive);
  receive();
}
