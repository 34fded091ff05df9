// "Your metric": a mixture of two metrics' weights, a gain for each layer, channels that are silent. Distances, curves
// and the ruler's words follow in the same frame, because a distance is linear in the weights.

import { distanceUnder, jpegUnder } from "./channels.js";
import { make } from "./dom.js";
import { descending, isPlain, MOST_GAIN, mixedWeights, newRecipe, products, recipeFrom } from "./heads.js";
import { lastStep } from "./model.js";
import { aboutOf, headsFile } from "./heads_file.js";
import { laneShortName, metricColor, metricTitle, YOURS } from "./names.js";
import { channelName, describe, headsOf, keyframesOf, layersOf, pairOn, squaredAt } from "./opened.js";
import { decadeTicks, drawPlot } from "./plot.js";
import { nearest } from "./ruler.js";
import { drawScores, progressBar, scoreText } from "./score.js";
import { number } from "./text.js";

const MOST_SILENT = 100;
const SIZE = { width: 330, height: 190 };    // px
const SAME = "Same pictures, other weights: nobody has attacked this metric yet.";
const SCORED = 5;                     // points of one's own that stay

export function newYours(panel, model, view, act, scores) {
  const part = panel.querySelector(".rv-part-yours");
  const find = (name) => part.querySelector(`.rv-${name}`);
  const [recipeBox, table, svg, caption] =
    ["recipe", "yours-numbers table", "yours-figure svg", "yours-figure figcaption"]
      .map((name) => part.querySelector(`.rv-${name}`));
  const undo = find("undo"), reset = find("start-over"), warning = find("warning"), trouble = find("trouble");
  const [attack, score, save, load] = ["attack", "score", "save", "load"].map((name) => find(`do-${name}`));
  let layers = [], pair = [], controls = null, history = [], scored = [], scoring = false;

  undo.onclick = () => { if (history.length) act({ recipe: history.pop() }); };
  reset.onclick = () => change(newRecipe(layers));

  // The page's buttons do the work; what it is about is left for them to read.
  function press(id) {
    panel.dataset.request = JSON.stringify({ ...view.recipe, trace: model.files?.trace?.path ?? "",
      metrics: ends().names, backbone: model.meta.receipt.backbone });
    document.getElementById(id)?.click();
  }

  attack.onclick = () => press("attack-yours");
  score.onclick = () => {
    press(scoring ? "cancel-yours" : "score-yours");
    scoring = !scoring;
    writeScore({ text: scoring ? "Running: waiting for a turn…" : "Stopped." });
  };
  save.onclick = saveFile;
  load.onchange = async () => {
    try {
      change(recipeOf(await aboutOf(load.files[0])));
      trouble.textContent = "";
    } catch (error) {
      trouble.textContent = error.message;
    }
    load.value = "";
  };

  // What the server reports of a score.
  function receive(message) {
    if (!scoring) return;
    scoring = message.text.startsWith("Running");
    if (!scoring && message.figures?.attacked) scored = [...scored, message.figures].slice(-SCORED);
    writeScore(message);
  }

  function writeScore(message) {
    score.textContent = scoring ? "Stop" : "Score it";
    const bar = message.progress ? [progressBar(message.progress)] : [];
    find("score-says").replaceChildren(scoreText(message), ...bar);
    drawScores(find("scores"), scores, scored);
  }

  function saveFile() {
    const { names, metrics } = ends();
    const terms = names.map((metric, k) => ({ metric, share: k ? view.recipe.share : 1 - view.recipe.share,
      gains: view.recipe.gains, silenced: view.recipe.silenced.toSorted((a, b) => a - b) }));
    const about = { backbone: model.meta.receipt.backbone, trunk: null, mixture: terms.slice(0, metrics.length) };
    const url = URL.createObjectURL(new Blob([headsFile(weights(), layers, about)]));
    make("a", { href: url, download: "my-heads.safetensors" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  // The recipe of a file's heads; an Error with a sentence if they are not a mixture of the two metrics on show.
  function recipeOf({ mixture = [] }) {
    const { names } = ends();
    const shares = names.map((name) => mixture.find(({ metric }) => metric === name)?.share ?? 0);
    const { gains = [], silenced = [] } = mixture[0] ?? {};
    const recipe = recipeFrom(`${shares[1]};${gains.join()};${silenced.join()}`, layers);
    if (!recipe || mixture.some(({ metric }) => !names.includes(metric)) || Math.abs(shares[0] + shares[1] - 1) > 1e-6)
      throw new Error(`These heads are no mixture of ${pair.map((m) => metricTitle(model, m)).join(" and ")}.`);
    return recipe;
  }

  // A change that can be undone. `view.recipe` is never changed in place.
  function change(recipe, keep = true) {
    if (keep) history.push(view.recipe);
    history = history.slice(-100);
    act({ recipe });
  }

  function build() {
    layers = layersOf(model, view.trunk);
    pair = pairOn(model, view.trunk);
    history = [];
    view.recipe = view.recipe?.gains.length === layers.length ? view.recipe : newRecipe(layers);
    const [a, b] = pair.map((m) => metricTitle(model, m));
    const slider = (label, max, step, set) => {
      const input = make("input", { type: "range", min: 0, max, step });
      const value = make("output");
      let before = null;                  // one drag is one thing to undo
      input.oninput = () => { before ??= view.recipe; act({ recipe: set(Number(input.value)) }); };
      input.onchange = () => { if (before) history.push(before); before = null; act({}); };
      const name = make("span", { textContent: label });
      return { input, value, root: make("label", { className: "rv-slider" }, name, input, value) };
    };
    const share = slider(`${a} → ${b}`, 1, 0.01, (value) => ({ ...view.recipe, share: value }));
    const gains = layers.map(({ name }, l) => slider(name, MOST_GAIN, 0.05, (value) =>
      ({ ...view.recipe, gains: view.recipe.gains.map((gain, i) => (i === l ? value : gain)) })));
    const heaviest = slider("silence the heaviest", MOST_SILENT, 1, (value) =>
      ({ ...view.recipe, silenced: silenceHeaviest(value) }));
    const silent = make("p", { className: "rv-silent" });
    recipeBox.replaceChildren(share.root, make("fieldset", { className: "rv-gains" },
      make("legend", { textContent: "gain of each layer" }), ...gains.map((gain) => gain.root)), heaviest.root, silent);
    controls = { share, gains, heaviest, silent };
    share.root.hidden = pair.length < 2;
    drawScores(find("scores"), scores, scored);
  }

  // The k channels that contribute most to this metric under the attack on show, all its channels audible.
  function silenceHeaviest(k) {
    const w = mixedWeights({ ...view.recipe, silenced: [] }, ...ends().heads, layers);
    const q = squaredAt(model, view.insideLane, lastStep(model), view.trunk);
    return q ? descending(products(w, q)).slice(0, k) : [];
  }

  // The two metrics that are mixed; the same one twice where the trunk has but one.
  function ends() {
    const metrics = [pair[0], pair[1] ?? pair[0]];
    const names = metrics.map((m) => model.meta.metrics[m]);
    return { metrics: pair, names, heads: metrics.map((m) => headsOf(model, m)) };
  }

  function silence([channel, silent]) {
    const others = view.recipe.silenced.filter((c) => c !== channel);
    change({ ...view.recipe, silenced: silent ? [...others, channel] : others });
  }

  const weights = () => mixedWeights(view.recipe, ...ends().heads, layers);

  function show() {
    const { recipe } = view;
    const w = weights(), plain = isPlain(recipe);
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
    reset.disabled = plain;
    const itself = `This is ${metricTitle(model, pair[0])} itself. Move something.`;
    warning.textContent = plain ? itself : attackedText(w) ?? SAME;
    const isDuel = panel.closest("#viewer") && model.meta.lanes.includes("noise");
    attack.hidden = score.hidden = !isDuel;
    attack.disabled = plain || !model.files?.trace;
    writeTable(w);
    drawCurves(w);
  }

  // What is left after an attack on this very metric; null if this trace has none.
  function attackedText(w) {
    const m = model.meta.metrics.indexOf(YOURS.name);
    const attacked = m < 0 ? null : headsOf(model, m);
    if (!attacked || w.some((weight, c) => Math.abs(weight - attacked[c]) > 1e-5 * (1 + weight))) return null;
    const [before, after] = [pair[0], m].map((lane) => {
      const q = squaredAt(model, lane, view.step, view.trunk);
      return q ? distanceUnder(w, q) : null;
    });
    if (!before || !after) return null;
    const [first, second] = [before, after].map((distance) => `${number(distance)}, ${words(w, distance)}`);
    return `The attack made for ${metricTitle(model, pair[0])} takes your metric to ${first}; `
      + `the attack made for yours takes it to ${second}.`;
  }

  function writeSilent({ silenced }) {
    const names = silenced.slice(0, 12).map((c) => {
      const name = channelName(layers, c);
      const chip = make("button", { type: "button", className: "rv-chip", textContent: `${name} ×` });
      chip.setAttribute("aria-label", `${name} ×: let it be heard again`);
      chip.onclick = () => silence([c, false]);
      return chip;
    });
    const more = silenced.length > 12 ? [` and ${silenced.length - 12} more`] : [];
    controls.silent.replaceChildren(...names, ...more);
    controls.silent.hidden = !silenced.length;
  }

  // Which JPEG of the picture is as far as a distance under weights w.
  function words(w, distance) {
    const known = jpegUnder(model, w, view.trunk);
    if (!known || distance === null) return "";
    const { title, words } = model.ruler.distortions.find(({ name }) => name === "jpeg");
    return nearest(title, words, known, distance).long;
  }

  function writeTable(w) {
    const metrics = [...pair.map((m) => describe(model, m)), { ...YOURS, w }];
    const head = make("tr", {}, make("td"), ...metrics.map(({ title, color }) => {
      const cell = make("th", { scope: "col", className: "rv-ink", textContent: title });
      cell.style.setProperty("--raw", color);
      return cell;
    }));
    const rows = model.meta.lanes.map((_, lane) => {
      const q = squaredAt(model, lane, view.step, view.trunk);
      const cells = metrics.map((metric) => {
        const distance = q ? distanceUnder(metric.w, q) : null;
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
      const points = keyframesOf(model, lane, view.trunk).map((step) =>
        [step, distanceUnder(weight, squaredAt(model, lane, step, view.trunk))]);
      return { color, className, points: points.length === 1 ? [...points, [lastStep(model), points[0][1]]] : points };
    };
    const style = (lane) => (model.meta.lanes[lane] === "noise" ? "rv-dotted" : lane ? "rv-dashed" : "rv-solid");
    const known = pair.map((m) => line(m, headsOf(model, m), metricColor(model, m), "rv-thin"));
    const mine = model.meta.lanes.map((_, lane) => line(lane, w, YOURS.color, style(lane)));
    const lines = [...known, ...mine];
    const values = lines.flatMap(({ points }) => points.map((point) => point[1])).filter((value) => value > 0);
    if (!values.length) return;
    const low = 10 ** Math.floor(Math.log10(Math.max(1e-6, Math.min(...values))));
    const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
    const steps = model.meta.steps;
    drawPlot(svg, { ...SIZE, lines, marks: [view.step],
      x: { low: 0, high: Math.max(1, steps), ticks: [[0, "step 0"], [steps, String(steps)]] },
      y: { low, high: Math.max(high, low * 10), log: true, ticks: decadeTicks(low, Math.max(high, low * 10)) } });
    svg.setAttribute("aria-label", "Distances of your metric over the steps, beside those of the metrics attacked");
    caption.textContent = `Green: yours (solid, dashed: the attacked pictures; dotted: noise). Thin: ${
      pair.map((m) => metricTitle(model, m)).join(" and ")}, each under its own attack.`;
  }

  return { build, show, silence, weights, receive };
}
