// The opened metric: one sum taken apart, one channel, how few of them, one position, and a metric of one's own.

import { newChannel } from "./channel.js";
import { opened, squaredAt } from "./channels.js";
import { options } from "./dom.js";
import { newFew } from "./few.js";
import { laneName } from "./names.js";
import { newPlace } from "./place.js";
import { newSum } from "./sum.js";
import { newYours, YOURS } from "./yours.js";

// `features(step)` gives the responses of all channels at a step: undefined while they are fetched, null if there are none.
export function newInside(root, model, view, features, act) {
  const panel = root.querySelector(".rv-inside");
  const lane = panel.querySelector(".rv-inside-lane");
  Object.assign(view, { insideLane: 0, sort: "both", channel: null, place: null, recipe: null, yours: [], silenced: new Set() });
  const yours = newYours(root, model, view, change);
  const parts = { sum: newSum(root, model, view, change), channel: newChannel(root, model, view),
    few: newFew(root, model, view), place: newPlace(root, model, view, change) };

  const last = {};                      // what each part shows

  panel.addEventListener("toggle", () => act({}));
  lane.onchange = () => change({ insideLane: Number(lane.value), place: null });

  function change({ silence, ...rest }) {
    if (silence) yours.silence(silence);
    else act(rest);
  }

  // What another run needs anew. The recipe of a metric of one's own stays: it is tried on the next picture.
  function build() {
    panel.hidden = !opened(model).length;
    if (panel.hidden) return;
    Object.assign(view, { insideLane: 0, channel: null, place: null });
    lane.replaceChildren(...options(model.meta.lanes.map((_, k) => [k, laneName(model, k)]), 0));
    parts.sum.build();
    yours.build();
  }

  function show() {
    if (panel.hidden || !panel.open || !squaredAt(model, view.insideLane, view.step)) return;
    const known = features(view.step);
    view.local = view.place && known ? local(known) : null;
    view.silenced = new Set(view.recipe.silenced);
    view.yours = yours.isPlain() ? [] : [{ ...YOURS, w: yours.weights() }];
    // Each part follows what it shows and nothing else, so that a slider moves without a wait.
    const picture = [model.run, model.state, model.frames.length, view.step, view.insideLane, Boolean(known)];
    const recipe = JSON.stringify(view.recipe);
    unless("sum", [...picture, view.sort, view.channel, view.place, ...view.silenced], () => {
      const chosen = parts.sum.show(view.insideLane);
      view.channel ??= chosen[0];
    });
    unless("channel", [...picture, view.channel], () => parts.channel.show(view.insideLane, known));
    unless("few", [...picture, recipe], () => parts.few.show(view.insideLane));
    unless("place", [...picture, view.place], () => parts.place.show(known));
    unless("yours", [...picture, recipe, view.ruler, Boolean(model.ruler)], () => yours.show());
  }

  function unless(part, shown, write) {
    const key = shown.join();
    if (last[part] === key) return;
    last[part] = key;
    write();
  }

  function local(known) {
    return { squared: known.squaredAt(view.insideLane, ...view.place) };
  }

  return { build, show };
}
