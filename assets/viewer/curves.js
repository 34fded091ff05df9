// The curves: a plotly chart, drawn when the data change and never while scrubbing; the cursor is a div above
// it.

const CHART_MARGIN = { l: 40, r: 14, t: 8, b: 24 };
const DRAW_EVERY = 200;     // ms; a run sends up to 20 messages a second, and a drawing costs 20 to 50 ms

// Loaded once for the page, however many viewers there are and however often they are mounted.
function loadPlotly(url) {
  window.rvPlotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const root = (window.gradio_config?.root || "").replace(/\/$/, "");
    const script = make("script", { src: root ? `${root}/${url}` : url, async: true });
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject());
    script.onerror = () => reject();
    document.head.append(script);
  });
  return window.rvPlotly;
}

// A colour of the style sheet as rgb(): plotly does not read the oklab() that color-mix computes to.
function resolvedColor(node, property = "color") {
  const context = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = getComputedStyle(node)[property];
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return `rgba(${r}, ${g}, ${b}, ${(a / 255).toFixed(3)})`;
}

function newCurves(root, model, view, plotlyUrl, act) {
  const find = (name) => root.querySelector(`.rv-${name}`);
  const [card, chart, plot, cursor] = ["curves", "chart", "plot", "cursor"].map(find);
  const [note, legend, logButton] = ["chart-note", "legend", "log"].map(find);
  let plotly = null;
  let timer = null;
  let drawnAt = 0;
  note.textContent = "Drawing the curves …";
  cursor.hidden = true;

  function load() {
    loadPlotly(plotlyUrl).then((loaded) => { plotly = loaded; draw(); }, () => {
      note.textContent = "The chart could not be loaded. Pictures and numbers work without it.";
    });
  }

  // At most one drawing per DRAW_EVERY, the last one always.
  function draw() {
    if (timer || !plotly) return;
    const wait = Math.max(0, drawnAt + DRAW_EVERY - performance.now());
    timer = setTimeout(() => { timer = null; drawNow(); }, wait);
  }

  function drawNow() {
    if (!model.meta || isPair(model) || !chart.clientWidth || !root.isConnected) return;
    const marks = rulerMarks();
    plotly.react(plot, traces(), layout(marks), { staticPlot: true, responsive: false });
    drawnAt = performance.now();
    note.textContent = "";
    cursor.hidden = false;
    moveCursor();
  }

  const inkOf = (m) => resolvedColor(legend.children[m]);

  function style(lane, m) {
    const name = model.meta.lanes[lane];
    if (name === "noise") return { dash: "1.5px,3px", width: 1.6 };
    return name === model.meta.metrics[m] ? { dash: "solid", width: 2.6 } : { dash: "6px,4px", width: 1.8 };
  }

  function traces() {
    const steps = model.curve.distance.map((_, step) => step);
    return model.meta.lanes.flatMap((_, lane) => model.meta.metrics.map((__, m) => ({
      type: "scatter", mode: "lines", x: steps,
      y: steps.map((step) => reading(model, "distance", step, lane, m)),
      line: { ...style(lane, m), color: inkOf(m) }, connectgaps: false, hoverinfo: "skip",
    })));
  }

  const rulerMarks = () => model.meta.metrics
    .map((metric, m) => ({ m, ...rulerMark(model, view.ruler, metric) })).filter((mark) => mark.distance > 0);

  // Rounded outwards to quarters of a decade or to two figures, so that a growing curve seldom moves the
  // axis.
  function range(marks) {
    const all = [...model.curve.distance.flat(2), ...marks.map((mark) => mark.distance)];
    const values = all.filter((v) => v > 0);
    const [low, high] = [Math.min(...values, 1), Math.max(...values, 0.001)];
    if (!view.log) return [0, Math.ceil(high * 1.05 * 20) / 20];
    return [Math.floor(4 * Math.log10(low) - 0.3) / 4, Math.ceil(4 * Math.log10(high) + 0.3) / 4];
  }

  function layout(marks) {
    const [text, grid] = [resolvedColor(card), resolvedColor(card, "borderTopColor")];
    const axis = { gridcolor: grid, linecolor: grid, zeroline: false, ticks: "", automargin: false };
    const [low, high] = range(marks);
    const wide = high - low > 1.3;
    return {
      width: chart.clientWidth, height: chart.clientHeight, margin: CHART_MARGIN, showlegend: false,
      paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: getComputedStyle(root).fontFamily, size: 11, color: text },
      xaxis: { ...axis, range: [0, model.meta.steps], showgrid: false, nticks: 6, tickprefix: "step ",
        showtickprefix: "first", ticklabeloverflow: "allow" },
      yaxis: { ...axis, range: [low, high], type: view.log ? "log" : "linear",
        dtick: !view.log ? undefined : wide ? 1 : "D2" },
      shapes: marks.map(({ m, distance }) => ({ type: "line", layer: "below", xref: "paper", x0: 0, x1: 1,
        y0: distance, y1: distance, line: { color: inkOf(m), width: 1, dash: "1px,2px" } })),
      annotations: marks.map((mark) => markLabel(mark, marks, high - low)),
    };
  }

  // A label sits above its line if the line is the higher one, below it if not, where the curves leave most
  // room.
  function markLabel(mark, marks, span) {
    const above = marks.every((other) => other.distance <= mark.distance);
    const height = (value) => (view.log ? Math.log10(value) : value);
    const middle = height(mark.distance) + (above ? 0.04 : -0.04) * span;
    const room = (share) => {
      const near = model.curve.distance.filter((_, step) => Math.abs(step / model.meta.steps - share) < 0.12);
      return Math.min(9, ...near.flat(2).filter((v) => v > 0).map((v) => Math.abs(height(v) - middle)));
    };
    // While the curves grow the label waits where they will come last, rather than jump about.
    const places = model.state === "running" ? [0.88] : [0.12, 0.4, 0.65, 0.88];
    const share = places.reduce((best, next) => (room(next) > room(best) ? next : best));
    const [x, xanchor] = share < 0.2 ? [0.01, "left"] : share > 0.8 ? [0.99, "right"] : [share, "center"];
    return { text: mark.words, xref: "paper", x, xanchor, showarrow: false, borderpad: 1,
      y: height(mark.distance), yanchor: above ? "bottom" : "top",
      font: { size: 10.5, color: inkOf(mark.m) } };
  }

  const innerWidth = () => chart.clientWidth - CHART_MARGIN.l - CHART_MARGIN.r;

  function moveCursor() {
    const share = model.meta.steps ? view.step / model.meta.steps : 0;
    cursor.style.transform = `translateX(${CHART_MARGIN.l + share * innerWidth()}px)`;
  }

  function stepAt(event) {
    const across = event.clientX - chart.getBoundingClientRect().left - CHART_MARGIN.l;
    act({ step: Math.round((across / innerWidth()) * model.meta.steps) });
  }

  chart.addEventListener("pointerdown", (event) => {
    chart.setPointerCapture(event.pointerId);
    stepAt(event);
  });
  chart.addEventListener("pointermove", (event) => {
    if (chart.hasPointerCapture(event.pointerId)) stepAt(event);
  });

  logButton.addEventListener("click", () => {
    view.log = !view.log;
    logButton.setAttribute("aria-pressed", view.log);
    draw();
  });

  // Colour says which metric measures, the line's style which picture is measured: five entries, not six
  // curves.
  function writeLegend() {
    const colors = model.meta.metrics.map((metric, m) => {
      const item = make("li", { className: "rv-ink rv-swatch", textContent: metricTitle(model, m) });
      item.style.setProperty("--raw", metricColor(model, metric));
      return item;
    });
    const styles = [["solid", "own attack"], ["dashed", "other attack"], ["dotted", "noise"]]
      .slice(0, model.meta.lanes.includes("noise") ? 3 : 2)
      .map(([line, text]) => make("li", { className: `rv-line rv-${line}`, textContent: text }));
    legend.replaceChildren(...colors, ...styles);
  }

  new ResizeObserver(draw).observe(chart);

  return { load, draw, moveCursor, writeLegend };
}
