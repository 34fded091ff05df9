// What a trace knows of channels: the weights of its metrics, and of every picture the mean squared difference of every
// channel to the reference. Only metrics of LPIPS's kind have channels, and only those on one trunk can be mixed.

import { frameAt } from "./model.js";

// The layers of the trunk: [{name, first, count}], `first` the index of the layer's first channel.
export function layersOf(model) {
  let first = 0;
  return model.meta.channels.map((count, l) => {
    const layer = { name: model.meta.layers[l], first, count };
    first += count;
    return layer;
  });
}

// The places, among the trace's metrics, of those that have heads on the common trunk.
export const opened = (model) =>
  model.meta?.heads ? model.meta.metrics.map((_, m) => m).filter((m) => model.meta.heads[model.meta.metrics[m]]) : [];

export const headsOf = (model, m) => model.meta.heads[model.meta.metrics[m]];

// The name of a channel: conv3 · 233.
export function channelName(layers, c) {
  const layer = layers.find(({ first, count }) => c < first + count);
  return `${layer.name} · ${c - layer.first}`;
}

// The mean squared differences of a lane at a step, (C,); undefined before they are there.
export function squaredAt(model, lane, step) {
  const frame = frameAt(model, lane, step);
  return frame?.per_channel?.[frame.lanes.indexOf(lane)];
}

// The steps at which a lane has them, in ascending order.
export const keyframesOf = (model, lane) =>
  model.frames.filter((frame) => frame.lanes.includes(lane) && frame.per_channel).map((frame) => frame.step);

// The ruler's copies of the picture under a distortion: [{words, q}], in ascending strength.
export function copiesOf(model, name) {
  const distortion = model.ruler?.distortions.find((each) => each.name === name);
  if (!distortion?.per_channel) return [];
  return distortion.per_channel.map((q, index) => ({ words: distortion.words[index], q }));
}
