// What the opened metric shows of a trace: the metrics on one of its trunks, and the squared differences on it.

import { channelsOf, jpegChannels, placeOf, weightsOf } from "./channels.js";
import { sum } from "./heads.js";
import { frameAt } from "./model.js";
import { BEFORE, metricColor, metricTitle, YOURS } from "./names.js";

// The places, among the trace's metrics, of the two that are opened: the first two on the trunk that are no visitor's.
export const pairOn = (model, trunk) => model.meta.metrics.map((_, m) => m)
  .filter((m) => placeOf(model, m)?.trunk === trunk && ![YOURS.name, BEFORE].includes(model.meta.metrics[m]))
  .slice(0, 2);

// The layers of the trunk: [{name, first, count}], `first` the index of the layer's first channel.
export function layersOf(model, trunk) {
  const { layers, channels } = model.meta.trunks[trunk];
  return channels.map((count, l) => ({ name: layers[l], count, first: sum(channels.slice(0, l)) }));
}

export const headsOf = weightsOf;

// A metric as the panel's parts show it: {title, color, w}.
export const describe = (model, m) =>
  ({ title: metricTitle(model, m), color: metricColor(model, m), w: headsOf(model, m) });

// The name of a channel: conv3 · 233.
export function channelName(layers, c) {
  const layer = layers.find(({ first, count }) => c < first + count);
  return `${layer.name} · ${c - layer.first}`;
}

// The same in an address: conv3.233, and back; null for a channel that is not there.
export const channelText = (layers, c) => channelName(layers, c).replace(" · ", ".");

export function channelAt(layers, text) {
  const [name, place] = text.split(".");
  const layer = layers.find((each) => each.name === name);
  return layer && Number(place) < layer.count ? layer.first + Number(place) : null;
}

// The frame of a lane that the viewer shows at a step.
export const frameOf = (model, lane, step) => frameAt(model, lane, step, true);

// The mean squared differences of a lane at a step, (C,); null before they are there.
export function squaredAt(model, lane, step, trunk) {
  const frame = frameOf(model, lane, step);
  return frame?.decoded.channels[trunk] ? channelsOf(model, frame, lane, trunk) : null;
}

// The steps at which a lane has them so far, in ascending order.
export const keyframesOf = (model, lane, trunk) => model.frames
  .filter((frame) => frame.lanes.includes(lane) && frame.decoded?.channels[trunk]).map((frame) => frame.step);

// JPEG copies of the picture: [{words, q}], in ascending strength.
export function jpegCopies(model, trunk) {
  const { words, every, vectors } = jpegChannels(model, trunk) ?? { vectors: [] };
  return vectors.map((q, s) => ({ words: words[s * every], q }));
}
