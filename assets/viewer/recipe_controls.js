// The controls of a metric of one's own: the mixture, the gains of the layers, and what is silent.

import { make, say } from "./dom.js";
import { descending, MOST_GAIN, mixedWeights, products } from "./heads.js";
import { lastStep } from "./model.js";
import { metricTitle } from "./names.js";
import { channelName, squaredAt } from "./opened.js";

const MOST_SILENT = 100;
const CHIPS = 12;

// `box` is for the sliders, `silent` for the names of the silent channels. `ends` gives the weights of the two metrics
// that are mixed; `set` shows a recipe while a control moves, `keep` makes the recipe before it one to come back to,
// and `silence` takes [channel, silent].
export function newRecipeControls(box, silent, model, view, { ends, set, keep, silence }) {
  let layers = [], controls = null;
  let named = null;                   // the silent channels whose names stand there
  const more = make("span");

  function slider(label, max, step, recipeOf) {
    const input = make("input", { type: "range", min: 0, max, step });
    const value = make("output");
    let before = null;                  // one drag is one thing to undo
    input.oninput = () => { before ??= view.recipe; set(recipeOf(Number(input.value))); };
    input.onchange = () => { if (before) keep(before); before = null; };
    const root = make("label", { className: "rv-slider" }, make("span", { textContent: label }), input, value);
    const show = (number, text) => {
      if (Number(input.value) !== number) input.value = number;   // even the same one is laid out and layered anew
      say(value, text);
    };
    return { root, show };
  }

  function build(itsLayers, pair) {
    layers = itsLayers;
    named = null;
    const [a, b] = pair.map((m) => metricTitle(model, m));
    const share = slider(`${a} → ${b}`, 1, 0.01, (value) => ({ ...view.recipe, share: value }));
    const gains = layers.map(({ name }, l) => slider(name, MOST_GAIN, 0.05, (value) =>
      ({ ...view.recipe, gains: view.recipe.gains.map((gain, i) => (i === l ? value : gain)) })));
    const heaviest = slider("silence the heaviest", MOST_SILENT, 1, (value) =>
      ({ ...view.recipe, silenced: heaviestOf(value) }));
    box.replaceChildren(share.root, make("fieldset", { className: "rv-gains" },
      make("legend", { textContent: "gain of each layer" }), ...gains.map((gain) => gain.root)), heaviest.root);
    share.root.hidden = pair.length < 2;
    controls = { share, gains, heaviest };
  }

  // The k channels that contribute most to this metric under the attack on show, all its channels audible.
  function heaviestOf(k) {
    const w = mixedWeights({ ...view.recipe, silenced: [] }, ...ends(), layers);
    const q = squaredAt(model, view.insideLane, lastStep(model), view.trunk);
    return q ? descending(products(w, q)).slice(0, k) : [];
  }

  function show() {
    const { share, gains, silenced } = view.recipe;
    controls.share.show(share, `${Math.round(100 * share)} %`);
    for (const [l, gain] of gains.entries()) controls.gains[l].show(gain, `× ${gain.toFixed(2)}`);
    controls.heaviest.show(Math.min(MOST_SILENT, silenced.length), String(silenced.length));
    const names = silenced.slice(0, CHIPS);
    if (names.join() !== named) silent.replaceChildren(...names.map(chip), more);
    named = names.join();
    say(more, silenced.length > CHIPS ? `and ${silenced.length - CHIPS} more` : "");
    silent.hidden = !silenced.length;
  }

  function chip(c) {
    const name = channelName(layers, c);
    const button = make("button", { type: "button", className: "rv-chip", textContent: `${name} ×` });
    button.setAttribute("aria-label", `${name} ×: let it be heard again`);
    button.onclick = () => silence([c, false]);
    return button;
  }

  return { build, show };
}
