// "One sum, taken apart": the channels that matter most to either metric, each with its squared difference, which is
// the same for both, its weight in each, and what it contributes.

import { make, makeSvg, options } from "./dom.js";
import { descending, products, sum } from "./heads.js";
import { lastStep } from "./model.js";
import { metricColor, metricTitle } from "./names.js";
import { channelName, headsOf, keyframesOf, layersOf, pairOn, squaredAt } from "./opened.js";
import { number, percent, shortNumber } from "./text.js";

const ROWS = 12;
const CURVE = { width: 96, height: 18 };    // px
const SAYS = {
  product: "The sum over all channels of all layers: what each channel contributes to the distance.",
  weight: "The weight of a channel, learnt once: all in which two metrics on one trunk differ.",
  difference: "How much a channel's answer changes, squared, on the mean over the picture: the same for all metrics.",
};

export function newSum(panel, model, view, act) {
  const part = panel.querySelector(".rv-part-sum");
  const find = (name) => part.querySelector(`.rv-${name}`);
  const [table, says, sort] = [part.querySelector("table"), find("formula-says"), find("sort")];
  let rows = [];
  let layers = [];
  let metrics = [];

  for (const symbol of part.querySelectorAll(".rv-symbol"))
    for (const [event, lit] of [["pointerenter", 1], ["focus", 1], ["pointerleave", 0], ["blur", 0]])
      symbol.addEventListener(event, () => light(lit ? symbol.dataset.part : ""));
  sort.onchange = () => act({ sort: sort.value });

  // Lights the columns of one part of the formula.
  function light(name) {
    part.dataset.lit = name;
    says.textContent = SAYS[name] ?? plain();
  }

  const plain = () => {
    const channels = layers.at(-1).first + layers.at(-1).count;
    return `${channels.toLocaleString("en")} channels c in ${layers.length} layers. Point at a part of the formula.`;
  };

  function build() {
    layers = layersOf(model, view.trunk);
    metrics = pairOn(model, view.trunk);
    sort.replaceChildren(...options([["both", "either metric"],
      ...metrics.map((m) => [`product ${m}`, metricTitle(model, m)]),
      ...metrics.map((m) => [`weight ${m}`, `weight in ${metricTitle(model, m)}`]),
      ["difference", "difference"]], view.sort));
    view.sort = sort.value;
    light("");
    const inked = (m, node) => {
      node.classList.add("rv-ink");
      node.style.setProperty("--raw", metricColor(model, m));
      return node;
    };
    const heading = (text, name) => make("th", { textContent: text, scope: "col", className: name });
    const head = make("tr", {}, heading("channel", "rv-is-name"), heading("difference²", "rv-is-difference"),
      ...metrics.flatMap((m) => [
        inked(m, heading("× weight", "rv-is-weight")),
        inked(m, heading(`= to ${metricTitle(model, m)}`, "rv-is-product"))]),
      heading("over the steps", "rv-is-curve"), heading("silence", "rv-is-silence"));
    rows = Array.from({ length: ROWS }, () => newRow(inked));
    const rest = newRest(inked);
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows.map((row) => row.root), rest.root));
    table.rest = rest;
  }

  const bar = () => make("i");
  const cell = (name, ...children) => make("td", { className: name }, ...children);

  function newRow(inked) {
    const row = { channel: null };
    row.name = make("button", { type: "button", className: "rv-channel-name" });
    row.name.onclick = () => act({ channel: row.channel });
    row.difference = bar();
    row.metrics = metrics.map(() => ({ weight: bar(), product: bar(), share: make("b") }));
    row.curves = metrics.map((m) => inked(m, makeSvg("path", { class: "rv-spark" })));
    row.cursor = makeSvg("path", { class: "rv-plot-cursor" });
    const svg = makeSvg("svg", { width: CURVE.width, height: CURVE.height, "aria-hidden": "true" },
      row.cursor, ...row.curves);
    row.silence = make("input", { type: "checkbox" });
    row.silence.onchange = () => act({ silence: [row.channel, row.silence.checked] });
    const name = make("th", { scope: "row" }, row.name);
    row.root = make("tr", {}, name, cell("rv-is-difference", make("u", {}, row.difference)),
      ...metrics.flatMap((m, k) => [
        inked(m, cell("rv-is-weight", make("u", {}, row.metrics[k].weight))),
        inked(m, cell("rv-is-product", make("u", {}, row.metrics[k].product), row.metrics[k].share))]),
      cell("rv-is-curve", svg), cell("rv-is-silence", row.silence));
    return row;
  }

  function newRest(inked) {
    const shares = metrics.map(() => make("b"));
    const label = make("th", { scope: "row" });
    const cells = metrics.flatMap((m, k) => [cell("rv-is-weight"), inked(m, cell("rv-is-product", shares[k]))]);
    return { label, shares, root: make("tr", { className: "rv-rest" }, label, cell("rv-is-difference"), ...cells,
      cell("rv-is-curve"), cell("rv-is-silence")) };
  }

  // The order is that of the last step, so that nothing jumps while scrubbing.
  function order(q, heads) {
    const parts = heads.map((w) => products(w, q));
    const wholes = parts.map((part) => sum(part) || 1);
    sort.value = view.sort;
    const [kind, m] = view.sort.split(" ");
    const k = metrics.indexOf(Number(m));
    const key = kind === "difference" ? q : kind === "weight" ? heads[k] : kind === "product" ? parts[k]
      : Float64Array.from(q, (_, c) => Math.max(...parts.map((part, i) => part[c] / wholes[i])));
    return descending(key).slice(0, ROWS);
  }

  // `now` are the squared differences of the step on show, or of a position; `final` those of the last step.
  function show(lane) {
    const heads = metrics.map((m) => headsOf(model, m));
    const now = view.local?.squared ?? squaredAt(model, lane, view.step, view.trunk);
    const final = view.local?.squared ?? squaredAt(model, lane, lastStep(model), view.trunk) ?? now;
    if (!now) return;
    const chosen = order(final, heads);
    const parts = heads.map((w) => products(w, now));
    const wholes = parts.map(sum);
    const finals = heads.map((w) => products(w, final));
    const top = (values) => Math.max(1e-12, ...chosen.map((c) => values[c]));
    const tops = { q: Math.max(top(now), top(final)), w: Math.max(...heads.map(top)),
      p: Math.max(...finals.map(top), ...parts.map(top)) };
    table.classList.toggle("rv-at-position", Boolean(view.local));  // a position has no curves
    const steps = view.local ? [] : keyframesOf(model, lane, view.trunk);
    const curves = steps.map((step) => squaredAt(model, lane, step, view.trunk));
    for (const [place, row] of rows.entries()) {
      const c = chosen[place];
      row.channel = c;
      row.name.textContent = channelName(layers, c);
      row.root.classList.toggle("rv-chosen", c === view.channel);
      row.name.setAttribute("aria-pressed", c === view.channel);
      scale(row.difference, now[c] / tops.q);
      for (const [k, w] of heads.entries()) {
        scale(row.metrics[k].weight, w[c] / tops.w);
        scale(row.metrics[k].product, parts[k][c] / tops.p);
        row.metrics[k].share.textContent = wholes[k] > 0 ? percent(parts[k][c] / wholes[k]) : "–";
      }
      row.silence.setAttribute("aria-label", `Silence ${channelName(layers, c)} in your metric`);
      drawCurves(row, c, heads, steps, curves);
    }
    writeRest(chosen, parts, wholes);
    return chosen;
  }

  // Which channels are silent in the visitor's metric.
  function mark() {
    for (const row of rows) row.silence.checked = view.silenced.has(row.channel);
  }

  const scale = (node, share) => { node.style.transform = `scaleX(${Math.min(1, share || 0)})`; };

  // Each row has its own scale, from 0 to the channel's largest contribution to either metric.
  function drawCurves(row, c, heads, steps, curves) {
    const highest = Math.max(1e-12, ...heads.flatMap((w) => curves.map((q) => w[c] * q[c])));
    const x = (step) => 2 + (step / Math.max(1, model.meta.steps)) * (CURVE.width - 4);
    const y = (value) => CURVE.height - 2 - (value / highest) * (CURVE.height - 4);
    for (const [k, w] of heads.entries()) {
      const points = curves.map((q, i) => `${x(steps[i]).toFixed(1)} ${y(w[c] * q[c]).toFixed(1)}`);
      row.curves[k].setAttribute("d", points.length ? `M${points.join("L")}` : "");
    }
    row.cursor.setAttribute("d", steps.length ? `M${x(view.step).toFixed(1)} 0V${CURVE.height}` : "");
  }

  function writeRest(chosen, parts, wholes) {
    const { label, shares } = table.rest;
    const others = layers.at(-1).first + layers.at(-1).count - chosen.length;
    label.textContent = `${others.toLocaleString("en")} others`;
    for (const [k, part] of parts.entries()) {
      const rest = wholes[k] - sum(chosen.map((c) => part[c]));
      shares[k].textContent = wholes[k] > 0
        ? `${percent(rest / wholes[k])} of ${number(wholes[k])}` : `– of ${shortNumber(wholes[k])}`;
    }
  }

  return { build, show, mark };
}
