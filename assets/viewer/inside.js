// The opened metric: one sum taken apart, one channel, how few of them, one position, and a metric of one's own.

import { newChannel } from "./channel.js";
import { newDifferences } from "./differences.js";
import { options } from "./dom.js";
import { newFew } from "./how_few.js";
import { isPlain } from "./heads.js";
import { laneName, metricTitle, YOURS } from "./names.js";
import { frameOf, pairOn, squaredAt } from "./opened.js";
import { newOwnMaps } from "./own_maps.js";
import { newPlace } from "./place.js";
import { newSum } from "./sum.js";
import { newYours } from "./yours.js";
import { newYoursMaps } from "./yours_maps.js";

// `address` is Gradio's; `scores` are the known points of the trade-off.
export function newInside(root, model, view, act, address, scores, cache) {
  const panel = root.querySelector(".rv-inside");
  if (root.closest("#viewer")) panel.id = "inside";  // one page has several viewers
  const lane = panel.querySelector(".rv-inside-lane"), network = panel.querySelector(".rv-network");
  Object.assign(view, { inside: false, insideLane: 0, trunk: 0, sort: "both", place: null, local: null,
    channel: null, first: null,       // the one on show, and the first one in the order on show
    recipe: null, yours: [], silenced: new Set(),
    own: null });                     // the maps of the visitor's metric, while it is open
  const changed = () => act({});
  const differences = newDifferences(model, address, changed);
  const yours = newYours(panel, model, view, change, scores);
  const own = newOwnMaps(model, view, yours.weights, differences, cache);
  const maps = newYoursMaps(panel, model, view, own, cache);
  const parts = { sum: newSum(panel, model, view, change), channel: newChannel(panel, model, view),
    few: newFew(panel, model, view), place: newPlace(panel, model, view, change) };
  const last = {};                    // what each part shows
  let drawn = false;                  // whether it was open when it was last drawn
  let built = null;                   // the network that the parts are built for
  let ordered = "";                   // what the channels were put in order for

  // At once: "toggle" comes later, and what is drawn meanwhile would close the panel again.
  panel.querySelector("summary").addEventListener("click", (event) => {
    event.preventDefault();
    act({ inside: !view.inside });
  });
  panel.addEventListener("toggle", () => { if (panel.open !== drawn) act({ inside: panel.open }); });  // by a search
  lane.onchange = () => change({ insideLane: Number(lane.value) });
  network.onchange = () => change({ trunk: Number(network.value), channel: null });
  document.addEventListener("reply", ({ detail }) => {
    if (root.isConnected && detail.score) yours.receive(detail.score);
  });

  function change({ silence, ...rest }) {
    if (silence) yours.silence(silence);
    else act(rest);
  }

  // What another run needs anew. The recipe of a metric of one's own stays: it is tried on the next picture.
  function build() {
    const trunks = (model.meta.trunks || []).map((_, trunk) => trunk);
    panel.hidden = !trunks.length;
    Object.assign(view, { own: null, insideLane: 0, trunk: 0, channel: null, first: null, place: null });
    if (panel.hidden) view.sort = "both";
    if (panel.hidden) return;
    lane.replaceChildren(...options(model.meta.lanes.map((_, k) => [k, laneName(model, k)]), 0));
    network.replaceChildren(...options(trunks.map((trunk) =>
      [trunk, pairOn(model, trunk).map((m) => metricTitle(model, m)).join(", ") || YOURS.title]), 0));
    network.parentElement.hidden = trunks.length < 2;
    built = null;                     // the parts are built when they are looked at
  }

  function rebuild() {
    built = view.trunk;
    parts.sum.build();
    yours.build();
    maps.build();
    for (const part of Object.keys(last)) delete last[part];
  }

  function show() {
    panel.open = drawn = view.inside;
    if (!panel.hidden && view.inside && built !== view.trunk) rebuild();
    const ready = !panel.hidden && view.inside && model.heads && pairOn(model, view.trunk).length
      && squaredAt(model, view.insideLane, view.step, view.trunk);
    if (Boolean(view.own) !== Boolean(ready)) {
      view.own = ready ? own : null;
      changed();                      // the grid of all layers has a place for it
    }
    if (!ready) return;
    [lane.value, network.value] = [view.insideLane, view.trunk];
    const frame = frameOf(model, view.insideLane, view.step);
    const name = model.meta.lanes[view.insideLane];
    const known = name === "noise" ? null : differences(frame.step, view.trunk);
    const saved = Boolean(model.files?.trace);
    view.local = view.place && known ? known.vectorsAt(name, ...view.place) : null;
    view.silenced = new Set(view.recipe.silenced);
    view.yours = isPlain(view.recipe) ? [] : [{ ...YOURS, w: yours.weights() }];
    // Each part follows what it shows and nothing else, so that a slider moves without a wait.
    const decoded = model.frames.filter((each) => each.decoded).length;
    const there = known === undefined ? "coming" : Boolean(known);
    const picture = [model.run, model.state, saved, decoded, view.step, view.insideLane, view.trunk, there];
    const recipe = JSON.stringify(view.recipe);
    unless("sum", [...picture, view.sort, view.channel, view.place], () => {
      const [first] = parts.sum.show(view.insideLane);
      const order = [view.sort, view.insideLane, view.place, Boolean(view.local)].join();
      // The first one goes with the pictures that come; another order leaves the channel on show.
      const follows = view.channel === null || (view.channel === view.first && order === ordered);
      [view.first, ordered] = [first, order];
      if (follows && view.channel !== first) { view.channel = first; changed(); }
    });
    parts.sum.mark();
    unless("channel", [...picture, view.channel], () => parts.channel.show(name, known, saved));
    unless("few", [...picture, recipe, Boolean(model.ruler)],
      () => parts.few.show(view.insideLane, [...picture, Boolean(model.ruler)].join()));
    unless("place", [...picture, view.place], () => parts.place.show(known, saved));
    unless("yours", [...picture, recipe, Boolean(model.ruler), yours.kept()],
      () => yours.show());
    unless("maps", [...picture, recipe, view.layer, view.scale], () => maps.show(view.insideLane));
  }

  function unless(part, shown, write) {
    const key = shown.join();
    if (last[part] === key) return;
    last[part] = key;
    write();
  }

  return { build, show };
}
