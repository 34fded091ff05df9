// The maps of a metric of one's own. A map is linear in the weights, as a distance is: that of a mixture is the mixture
// of the two metrics' maps, which a trace has at every keyframe. Where channels are silent it takes the squared
// differences of the step (differences.js), which are fetched when they are looked at.

import { newCache } from "./cache.js";
import { products, sum } from "./heads.js";
import { enlargedSum, layerValues } from "./maps.js";
import { layersOf, pairOn, squaredAt } from "./opened.js";

const KEPT = 2 ** 21;                 // numbers

// `weights` gives those of the metric; `differences` what is known of a step: undefined while it comes, null for never.
export function newOwnMaps(model, view, weights, differences) {
  const cache = newCache(KEPT);

  // The values of a layer of the trunk as maps.js has them; null where they are not known.
  function layer(frame, lane, l) {
    const layers = layersOf(model, view.trunk), { share, gains, silenced } = view.recipe;
    if (silenced.length) return known(frame, lane)?.layerMap(l, model.meta.lanes[lane], weights()) ?? null;
    const place = model.meta.layers.indexOf(layers[l].name);
    const [a, b] = pairOn(model, view.trunk).map((m) => layerValues(frame, lane, m, place));
    if (!a || !b || !share) return a && scaled(a, (value) => gains[l] * value);
    return scaled(a, (value, i) => gains[l] * ((1 - share) * value + share * b.data[i]));
  }

  const known = (frame, lane) =>
    (model.meta.lanes[lane] === "noise" ? null : differences(frame.step, view.trunk));

  function scaled({ data, width, height }, value) {
    const scaledData = data.map(value);
    return { data: scaledData, width, height, top: scaledData.reduce((a, b) => Math.max(a, b), 0) };
  }

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
