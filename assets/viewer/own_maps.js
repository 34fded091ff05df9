// The maps of a metric of one's own. A map is linear in the weights, as a distance is: that of a mixture is the mixture
// of the two metrics' maps, which a trace has at every keyframe. Where channels are silent it takes the squared
// differences of the step (differences.js), which are fetched when they are looked at, and then leaves out their share.

import { newCache } from "./cache.js";
import { products, silentWeights, sum } from "./heads.js";
import { valuesOf } from "./layers.js";
import { enlargedSum } from "./maps.js";
import { headsOf, layersOf, pairOn, squaredAt } from "./opened.js";

const KEPT = 2 ** 21;                 // numbers
const ROUNDING = 1e-5;                // of a map: what the silent channels leave of it below that is none of it

// `weights` gives those of the metric; `differences` what is known of a step: undefined while it comes, null for never.
// `shown` is the cache of the maps on show.
export function newOwnMaps(model, view, weights, differences, shown) {
  const cache = newCache(KEPT);

  // The values of a layer of the trunk as maps.js has them; null where they are not known.
  function layer(frame, lane, l) {
    const layers = layersOf(model, view.trunk), pair = pairOn(model, view.trunk);
    const both = (mapOf) => [pair[0], pair[1] ?? pair[0]].map(mapOf);
    if (!view.recipe.silenced.length) {
      const place = model.meta.layers.indexOf(layers[l].name);
      return mixed(l, ...both((m) => valuesOf(model, frame, lane, m, place, shown)));
    }
    const there = known(frame, lane);
    if (!there) return null;
    const under = (w) => there.layerMap(l, model.meta.lanes[lane], w);
    const wholes = both((m) => cache.get(`${frame.decoded.id}.${lane} ${m} ${l}`, () => under(headsOf(model, m))));
    return mixed(l, ...wholes, under(silentWeights(view.recipe, ...both((m) => headsOf(model, m)), layers)));
  }

  // The mixture of two maps of a layer, less the map of what is silent.
  function mixed(l, a, b, silent = null) {
    const { share, gains } = view.recipe, [ofA, ofB] = [(1 - share) * gains[l], share * gains[l]];
    const data = new Float32Array(a.data.length);
    let top = 0;
    for (let i = 0; i < data.length; i++) {
      const whole = ofA * a.data[i] + ofB * b.data[i];
      const heard = silent ? whole - silent.data[i] : whole;
      if (heard > ROUNDING * whole) data[i] = heard;
      if (data[i] > top) top = data[i];
    }
    return { ...a, data, top };
  }

  const known = (frame, lane) =>
    (model.meta.lanes[lane] === "noise" ? null : differences(frame.step, view.trunk));

  // The map of a layer of the viewer, by its place there, or of all (null); null where it is not known.
  function values(frame, lane, place = null) {
    const layers = layersOf(model, view.trunk);
    const ready = !view.recipe.silenced.length || known(frame, lane);
    if (!ready) return null;
    const l = place === null ? null : layers.findIndex(({ name }) => name === model.meta.layers[place]);
    if (l === -1) return null;
    const key = `${frame.decoded.id}.${lane} ${view.trunk} ${l} ${JSON.stringify(view.recipe)}`;
    return cache.get(key, () => (l === null
      ? enlargedSum(model, layers.map((_, each) => layer(frame, lane, each))) : layer(frame, lane, l)));
  }

  // Why there is no map of a lane at a frame.
  function reason(frame, lane) {
    if (model.meta.lanes[lane] === "noise") return "With silent channels there is no map of noise.";
    if (!model.files?.trace) return "With silent channels the map comes when the run is over and saved.";
    return known(frame, lane) === undefined ? `The silent channels of step ${frame.step} are being fetched…`
      : `With silent channels there is no map at step ${frame.step}.`;
  }

  // The share of a layer of the viewer in the distance of the lane; null where there is none.
  function share(lane, place) {
    const layer = layersOf(model, view.trunk).find(({ name }) => name === model.meta.layers[place]);
    const q = squaredAt(model, lane, view.step, view.trunk);
    if (!layer || !q) return null;
    const parts = products(weights(), q), whole = sum(parts);
    return whole ? sum(parts.subarray(layer.first, layer.first + layer.count)) / whole : null;
  }

  return { values, reason, share };
}
