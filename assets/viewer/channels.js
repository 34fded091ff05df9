// The channels of a frame, from which the browser computes distances under any weights.
//
// The data (written by rlpips/traces/writer.py, described in rlpips/traces/schema.py): `model.meta.trunks` lists
// the networks whose features the metrics of LPIPS's kind compare: {metrics: [names], layers: [names], channels:
// [C_l of each layer], heads: file}. The metrics of one trunk share every squared difference and differ by their
// weights alone. `model.heads[trunk]`, once loaded, holds the weights, metrics x C float32.
// `frame.decoded.channels[trunk]` holds, lanes x C float32, the mean squared difference of every channel, all
// layers' in order, without weights. The distance under weights w is the sum of w[c] * channels[c]; with a
// metric's own weights it is `frame.distance_8bit`. In the ruler, the distortion "jpeg" has `channels`: {every,
// values: [base64 of S' x C float32 for each trunk]}, the same vectors for every `every`-th of its entries.

import { decodeFloats } from "./png.js";

// Loads the weights of the metrics: one Float32Array for each trunk.
export const loadHeads = (model) => Promise.all((model.meta.trunks || []).map((trunk) => decodeFloats(trunk.heads)));

// The place of a metric: {trunk, row} of its trunk and of its weights; null for a metric without a network.
export function placeOf(model, metric) {
  const name = model.meta.metrics[metric];
  const trunk = (model.meta.trunks || []).findIndex((each) => each.metrics.includes(name));
  return trunk < 0 ? null : { trunk, row: model.meta.trunks[trunk].metrics.indexOf(name) };
}

// The number of channels of a trunk.
const width = (model, trunk) => model.meta.trunks[trunk].channels.reduce((a, b) => a + b, 0);

// Row `row` of rows of C numbers, a view.
const rowOf = (model, trunk, rows, row) => rows.subarray(row * width(model, trunk), (row + 1) * width(model, trunk));

// The weights of a metric, (C); null until they are loaded, and for a metric without a network.
export function weightsOf(model, metric) {
  const place = placeOf(model, metric);
  return place && model.heads ? rowOf(model, place.trunk, model.heads[place.trunk], place.row) : null;
}

// The squared differences of a lane of a decoded frame, (C).
export const channelsOf = (model, frame, lane, trunk = 0) =>
  rowOf(model, trunk, frame.decoded.channels[trunk], frame.lanes.indexOf(lane));

// The distance under weights w, both (C).
export function distanceUnder(weights, channels) {
  let sum = 0;
  for (let c = 0; c < weights.length; c++) sum += weights[c] * channels[c];
  return sum;
}

const decoded = new WeakMap();        // a ruler's "jpeg" -> its channels, for each trunk

// The mean squared differences of the JPEG copies that the ruler measured: {words, every, vectors: [(C)]}, in
// ascending strength, one at every `every`-th of the words; null where the ruler has no channels.
export function jpegChannels(model, trunk = 0) {
  const jpeg = model.ruler?.distortions.find(({ name }) => name === "jpeg");
  if (!jpeg?.channels) return null;
  const { words, channels: { every, values } } = jpeg;
  if (!decoded.has(jpeg)) decoded.set(jpeg, values.map(floatsOf));
  const rows = decoded.get(jpeg)[trunk];
  const vectors = Array.from({ length: rows.length / width(model, trunk) }, (_, s) => rowOf(model, trunk, rows, s));
  return { words, every, vectors };
}

const floatsOf = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

// The distances of the entries of the ruler's "jpeg" under weights w, in ascending strength: as
// rlpips.engine.ruler makes them, interpolated linearly between the entries that were measured, and never falling.
// null where the ruler has no channels.
export function jpegUnder(model, weights, trunk = 0) {
  const jpeg = jpegChannels(model, trunk);
  if (!jpeg) return null;
  const { words, every, vectors } = jpeg;
  const measured = vectors.map((vector) => distanceUnder(weights, vector));
  let most = 0;
  return words.map((_, i) => {
    const [before, share] = [Math.floor(i / every), (i % every) / every];
    const value = share ? measured[before] * (1 - share) + measured[before + 1] * share : measured[before];
    most = Math.max(most, value);
    return most;
  });
}
