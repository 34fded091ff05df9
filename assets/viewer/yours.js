// "Your metric": a mixture of two metrics' weights, a gain for each layer, channels that are silent. Distances, curves and the
// ruler's words follow in the same frame, because a distance is linear in the weights.

import { channelName, copiesOf, headsOf, keyframesOf, layersOf, opened, squaredAt } from "./channels.js";
import { make } from "./dom.js";
import { descending, distanceOf, MOST_GAIN, newRecipe, products, weightsOf } from "./heads.js";
import { lastStep } from "./model.js";
import { laneShortName, metricColor, metricTitle } from "./names.js";
import { decadeTicks, drawPlot } from "./plot.js";
import { nearest } from "./ruler.js";
import { number } from "./text.js";

export const YOURS = { title: "yours", color: "#009E73" };
const MOST_SILENT = 100;
const SIZE = { width: 330, height: 190 };    // px
const PREFIX = "Same pictures, other weights";

export function newYours(root, model, view, act) {
  const part = root.querySelector(".rv-part-yours");
  const find = (name) => part.querySelector(`.rv-${name}`);
  const [recipeBox, table, svg, caption] =
    [find("recipe"), part.querySelector("table"), part.querySelector("svg"), part.querySelector("figcaption")];
  const undo = find("undo"), reset = find("start-over"), warning = find("warning");
  let layers = [], pair = [], controls = null, history = [];

  undo.onclick = () => { if (history.length) act({ recipe: history.pop() }); };
  reset.onclick = () => change(newRecipe(layers));

  // A change that can be undone. `view.recipe` is never changed in place.
  function change(recipe, keep = true) {
    if (keep) history.push(view.recipe);
    history = history.slice(-100);
    act({ recipe });
  }

  function build() {
    layers = layersOf(model);
    pair = opened(model).slice(0, 2);
    history = [];
    view.recipe = view.recipe?.gains.length === layers.length ? view.recipe : newRecipe(layers);
    const [a, b] = pair.map((m) => metricTitle(model, m));
    const slider = (label, max, step, set) => {
      const input = make("input", { type: "range", min: 0, max, step });
      const value = make("output");
      let before = null;                  // one drag is one thing to undo
      input.oninput = () => { before ??= view.recipe; act({ recipe: set(Number(input.value)) }); };
      input.onchange = () => { if (before) history.push(before); before = null; act({}); };
      return { input, value, root: make("label", { className: "rv-slider" }, make("span", { textContent: label }), input, value) };
    };
    const share = slider(`${a} → ${b}`, 1, 0.01, (value) => ({ ...view.recipe, share: value }));
    const gains = layers.map(({ name }, l) => slider(name, MOST_GAIN, 0.05, (value) =>
      ({ ...view.recipe, gains: view.recipe.gains.map((gain, i) => (i === l ? value : gain)) })));
    const heaviest = slider("silence the heaviest", MOST_SILENT, 1, (value) => ({ ...view.recipe, silenced: silenceHeaviest(value) }));
    const silent = make("p", { className: "rv-silent" });
    recipeBox.replaceChildren(share.root, make("fieldset", { className: "rv-gains" },
      make("legend", { textContent: "gain of each layer" }), ...gains.map((gain) => gain.root)), heaviest.root, silent);
    controls = { share, gains, heaviest, silent };
    share.root.hidden = pair.length < 2;
  }

  // The k channels that contribute most to this metric under the attack on show, all its channels audible.
  function silenceHeaviest(k) {
    const w = weightsOf({ ...view.recipe, silenced: [] }, ...ends(), layers);
    const q = squaredAt(model, view.insideLane, lastStep(model));
    return q ? descending(products(w, q)).slice(0, k) : [];
  }

  function ends() {
    const [a, b] = pair.map((m) => headsOf(model, m));
    return [a, b ?? a];
  }

  function silence([channel, silent]) {
    const others = view.recipe.silenced.filter((c) => c !== channel);
    change({ ...view.recipe, silenced: silent ? [...others, channel] : others });
  }

  const weights = () => weightsOf(view.recipe, ...ends(), layers);

  // What the other parts of the panel show beside the trace's metrics; nothing while it is one of them.
  const isPlain = () => JSON.stringify(view.recipe) === JSON.stringify(newRecipe(layers));

  function show() {
    const { recipe } = view;
    const w = weights();
    controls.share.input.value = recipe.share;
    controls.share.value.textContent = `${Math.round(100 * recipe.share)} %`;
    for (const [l, { input, value }] of controls.gains.entries()) {
      input.value = recipe.gains[l];
      value.textContent = `× ${recipe.gains[l].toFixed(2)}`;
    }
    controls.heaviest.input.value = Math.min(MOST_SILENT, recipe.silenced.length);
    controls.heaviest.value.textContent = String(recipe.silenced.length);
    writeSilent(recipe);
    undo.disabled = !history.length;
    reset.disabled = isPlain();
    warning.textContent = isPlain() ? `This is ${metricTitle(model, pair[0])} itself. Move something.`
      : `${PREFIX}: nobody has attacked this metric yet.`;
    writeTable(w);
    drawCurves(w);
  }

  function writeSilent({ silenced }) {
    const names = silenced.slice(0, 12).map((c) => {
      const chip = make("button", { type: "button", className: "rv-chip", textContent: `${channelName(layers, c)} ×` });
      chip.setAttribute("aria-label", `Let ${channelName(layers, c)} be heard again`);
      chip.onclick = () => silence([c, false]);
      return chip;
    });
    const more = silenced.length > 12 ? [` and ${silenced.length - 12} more`] : [];
    controls.silent.replaceChildren(...names, ...more);
    controls.silent.hidden = !silenced.length;
  }

  // How far the ruler's copies are under weights w, and which of them is as far as a distance.
  function words(w, distance) {
    const copies = copiesOf(model, view.ruler);
    const title = model.ruler?.distortions.find(({ name }) => name === view.ruler)?.title;
    if (!copies.length || distance === null) return "";
    return nearest(title, copies.map((copy) => copy.words), copies.map(({ q }) => distanceOf(w, q)), distance).long;
  }

  function writeTable(w) {
    const metrics = [...pair.map((m) => ({ title: metricTitle(model, m), color: metricColor(model, m), w: headsOf(model, m) })),
      { ...YOURS, w }];
    const head = make("tr", {}, make("td"), ...metrics.map(({ title, color }) => {
      const cell = make("th", { scope: "col", className: "rv-ink", textContent: title });
      cell.style.setProperty("--raw", color);
      return cell;
    }));
    const rows = model.meta.lanes.map((_, lane) => {
      const q = squaredAt(model, lane, view.step);
      const cells = metrics.map((metric) => {
        const distance = q ? distanceOf(metric.w, q) : null;
        return make("td", {}, make("b", { textContent: number(distance) }),
          make("span", { textContent: words(metric.w, distance) }));
      });
      return make("tr", {}, make("th", { scope: "row", textContent: laneShortName(model, lane) }), ...cells);
    });
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  }

  function drawCurves(w) {
    // The noise is measured once, and stays.
    const line = (lane, weight, color, className) => {
      const points = keyframesOf(model, lane).map((step) => [step, distanceOf(weight, squaredAt(model, lane, step))]);
      return { color, className, points: points.length === 1 ? [...points, [lastStep(model), points[0][1]]] : points };
    };
    const style = (lane) => (model.meta.lanes[lane] === "noise" ? "rv-dotted" : lane ? "rv-dashed" : "rv-solid");
    const known = pair.map((m) => line(m, headsOf(model, m), metricColor(model, m), "rv-thin"));
    const mine = model.meta.lanes.map((_, lane) => line(lane, w, YOURS.color, style(lane)));
    const lines = [...known, ...mine];
    const values = lines.flatMap(({ points }) => points.map((point) => point[1])).filter((value) => value > 0);
    if (!values.length) return;
    const low = 10 ** Math.floor(Math.log10(Math.max(1e-6, Math.min(...values)))), high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
    const steps = model.meta.steps;
    drawPlot(svg, { ...SIZE, lines, marks: [view.step],
      x: { low: 0, high: Math.max(1, steps), ticks: [[0, "step 0"], [steps, String(steps)]] },
      y: { low, high: Math.max(high, low * 10), log: true, ticks: decadeTicks(low, Math.max(high, low * 10)) } });
    svg.setAttribute("aria-label", "Distances of your metric over the steps, beside those of the metrics attacked");
    caption.textContent = `Green: yours (solid, dashed: the attacked pictures; dotted: noise). Thin: ${
      pair.map((m) => metricTitle(model, m)).join(" and ")}, each under its own attack.`;
  }

  return { build, show, silence, weights, isPlain };
}
