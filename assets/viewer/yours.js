// "Your metric": a mixture of two metrics' weights, a gain for each layer, channels that are silent. Distances, curves,
// maps and the ruler's words follow in the same frame, because a distance is linear in the weights.

import { make } from "./dom.js";
import { isPlain, mixedWeights, newRecipe, recipeFrom } from "./heads.js";
import { headsFile, readHeads } from "./heads_file.js";
import { metricTitle, YOURS } from "./names.js";
import { headsOf, layersOf, pairOn } from "./opened.js";
import { newRecipeControls } from "./recipe_controls.js";
import { challenge, drawScores, progressBar, scoreText } from "./score.js";
import { newYoursNumbers } from "./yours_numbers.js";

const SCORED = 5;                     // points of one's own that stay
const KEPT = 100;                     // recipes to come back to

const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export function newYours(panel, model, view, act, scores) {
  const part = panel.querySelector(".rv-part-yours");
  const find = (name) => part.querySelector(`.rv-${name}`);
  const [undo, redo, reset, trouble] = ["undo", "redo", "start-over", "trouble"].map(find);
  const [attack, score, save, load] = ["attack", "score", "save", "load"].map((name) => find(`do-${name}`));
  const numbers = newYoursNumbers(part, model, view);
  const controls = newRecipeControls(find("recipe"), find("silent"), model, view,
    { ends: () => ends().heads, set: (recipe) => act({ recipe }), keep, silence });
  let layers = [], pair = [], scored = [], scoring = false;
  const past = [], future = [];       // recipes
  let pressed = null, attacked = null;  // the recipe that is to be attacked, and the one that was, in the last duel
  const both = find("do-both");
  const hasBefore = () => attacked && attacked.gains.length === layers.length && !isSame(attacked, view.recipe);

  undo.onclick = () => step(past, future);
  redo.onclick = () => step(future, past);
  reset.onclick = () => change(newRecipe(layers));
  part.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || !/^[zy]$/i.test(event.key)) return;
    event.preventDefault();
    if (event.key.toLowerCase() === "y" || event.shiftKey) redo.click();
    else undo.click();
  });

  function step(from, to) {
    if (!from.length) return;
    to.push(view.recipe);
    act({ recipe: from.pop() });
  }

  function keep(recipe) {
    past.push(recipe);
    past.splice(0, past.length - KEPT);
    future.length = 0;
    act({});
  }

  // A change that can be undone. `view.recipe` is never changed in place.
  function change(recipe) {
    const before = view.recipe;
    act({ recipe });
    keep(before);
  }

  // The page's buttons do the work; what it is about is left for them to read.
  function press(id, before = null) {
    panel.dataset.request = JSON.stringify({ ...view.recipe, before, trace: model.files?.trace?.path ?? "",
      metrics: ends().names, backbone: model.meta.receipt.backbone });
    document.getElementById(id)?.click();
  }

  attack.onclick = () => {
    press("attack-yours", hasBefore() && both.checked ? attacked : null);
    pressed = view.recipe;
  };
  score.onclick = () => {
    press(scoring ? "cancel-yours" : "score-yours");
    scoring = !scoring;
    writeScore({ text: scoring ? "Running: waiting for a turn…" : "Stopped." });
  };
  save.onclick = saveFile;
  load.onchange = async () => {
    try {
      change(recipeOf(await readHeads(load.files[0])));
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
    find("challenge").textContent = challenge(scores, scored.at(-1));
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
  function recipeOf({ about: { mixture }, weights: saved }) {
    const { names } = ends();
    const shareOf = (name) => mixture.find(({ metric }) => metric === name)?.share ?? 0;
    const shares = [shareOf(names[0]), names[1] === names[0] ? 0 : shareOf(names[1])];
    const { gains = [], silenced = [] } = mixture[0] ?? {};
    const foreign = mixture.length === 0 || mixture.some(({ metric }) => !names.includes(metric))
      || Math.abs(shares[0] + shares[1] - 1) > 1e-6;
    if (foreign || saved.length !== weights().length)
      throw new Error(`These heads are no mixture of ${pair.map((m) => metricTitle(model, m)).join(" and ")}.`);
    const recipe = recipeFrom(`${shares[1]};${gains.join()};${silenced.join()}`, layers);
    const expected = recipe && mixedWeights(recipe, ...ends().heads, layers);
    if (!expected || expected.some((weight, c) => !(Math.abs(weight - saved[c]) <= 1e-4 * (1 + weight))))
      throw new Error("The weights in this file are not those of the recipe that stands in it.");
    return recipe;
  }

  function build() {
    layers = layersOf(model, view.trunk);
    pair = pairOn(model, view.trunk);
    if (view.recipe?.gains.length !== layers.length) {
      view.recipe = newRecipe(layers);
      past.length = future.length = 0;
    }
    if (model.meta.metrics.includes(YOURS.name)) attacked = pressed;
    controls.build(layers, pair);
    drawScores(find("scores"), scores, scored);
    find("challenge").textContent = challenge(scores, scored.at(-1));
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
    const plain = isPlain(view.recipe);
    controls.show();
    undo.disabled = !past.length;
    redo.disabled = !future.length;
    reset.disabled = plain;
    const isDuel = panel.closest("#viewer") && model.meta.lanes.includes("noise");
    attack.hidden = score.hidden = !isDuel;
    attack.disabled = plain || !model.files?.trace;
    both.parentElement.hidden = attack.hidden || !hasBefore();
    numbers.show(weights(), plain);
  }

  const kept = () => `${past.length} ${future.length}`;

  return { build, show, silence, weights, receive, kept };
}
