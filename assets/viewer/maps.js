// The maps of a frame: where a metric sees a difference, layer by layer, as numbers and as pictures.
//
// The data (written by rlpips/traces/writer.py, described in rlpips/traces/schema.py): `frame.decoded.maps` holds
// grey tiles, one for each lane, metric and layer, in this order, one below the other at the left edge of a
// picture `frame.decoded.mapsWidth` wide. `frame.map_size[metric][layer]` is [height, width], or null where the
// metric has no such layer, and so no tile. In traces of an earlier format each metric has one map, the sum of its
// layers. A value is `frame.map_peak[lane][metric][layer]` * (byte / 255)^2; the mean of a map is the layer's share of
// the distance.

import { HEAT, heatIndex } from "./heat.js";

const LONGEST = 256;                  // px: beyond it a sum of layers is enlarged by the style sheet alone

// Whether every layer has a map of its own.
export const hasLayerMaps = (model) => model.frames.every(({ map_size: sizes }) =>
  sizes.every((layers) => layers.length === model.meta.layers.length));

// The values of one layer at its own resolution, {data, width, height, top}, `top` the largest; null if the metric
// has none.
export function layerValues(frame, lane, metric, layer) {
  const size = frame.map_size[metric][layer];
  if (!size) return null;
  const [height, width] = size;
  const { maps, mapsWidth } = frame.decoded;
  const row = frame.lanes.indexOf(lane);
  const peak = frame.map_peak[row][metric][layer];
  const table = Float32Array.from({ length: 256 }, (_, byte) => peak * (byte / 255) ** 2);
  const data = new Float32Array(width * height);
  let at = mapsWidth * firstRow(frame, row, metric, layer);
  for (let y = 0; y < height; y++, at += mapsWidth)
    for (let x = 0; x < width; x++) data[y * width + x] = table[maps[at + x]];
  return { data, width, height, top: peak };
}

// The place of a tile: the heights of those before it.
function firstRow(frame, row, metric, layer) {
  const heights = frame.map_size.map((layers) => layers.map((size) => (size ? size[0] : 0)));
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const before = sum(heights.slice(0, metric).map(sum)) + sum(heights[metric].slice(0, layer));
  return row * sum(heights.map(sum)) + before;
}

// The same of all layers together: the metric's distance map.
export const summedValues = (model, frame, lane, metric) => enlargedSum(model,
  frame.map_size[metric].map((_, layer) => layerValues(frame, lane, metric, layer)));

// The values of some layers (null for none), enlarged bilinearly to the size of the picture and summed.
export function enlargedSum(model, layers) {
  const shrink = Math.min(1, LONGEST / Math.max(model.meta.width, model.meta.height));
  const [width, height] = [model.meta.width, model.meta.height].map((side) => Math.max(1, Math.round(side * shrink)));
  const data = new Float32Array(width * height);
  for (const values of sumsOfOneSize(layers)) addEnlarged(data, width, height, values);
  let top = 0;
  for (let i = 0; i < data.length; i++) if (data[i] > top) top = data[i];
  return { data, width, height, top };
}

// The layers of one size summed before they are enlarged, which is linear.
function sumsOfOneSize(layers) {
  const sums = new Map();
  for (const values of layers.filter(Boolean)) {
    const size = `${values.width} ${values.height}`, sum = sums.get(size);
    if (sum) for (let i = 0; i < sum.data.length; i++) sum.data[i] += values.data[i];
    else sums.set(size, { ...values, data: values.data.slice() });
  }
  return sums.values();
}

// As torch's interpolate does it, with align_corners=False.
function addEnlarged(to, width, height, { data, width: w, height: h }) {
  const [left, right, weight] = [new Uint16Array(width), new Uint16Array(width), new Float32Array(width)];
  for (let x = 0; x < width; x++) [left[x], right[x], weight[x]] = between(x, width, w);
  const row = new Float32Array(w);
  for (let y = 0; y < height; y++) {
    const [above, below, share] = between(y, height, h);
    for (let x = 0; x < w; x++) row[x] = data[above * w + x] * (1 - share) + data[below * w + x] * share;
    for (let x = 0, at = y * width; x < width; x++, at++) {
      const value = row[left[x]];
      to[at] += value + (row[right[x]] - value) * weight[x];
    }
  }
}

// The two entries of `from` that entry `i` of `to` lies between, and the share of the second.
function between(i, to, from) {
  const at = Math.max(0, ((i + 0.5) * from) / to - 0.5);
  const first = Math.min(from - 1, Math.floor(at));
  return [first, Math.min(from - 1, first + 1), at - first];
}

// The value at (u, v), in fractions of the picture.
export function valueAt({ data, width, height }, u, v) {
  const place = (t, size) => Math.min(size - 1, Math.max(0, Math.floor(t * size)));
  return data[place(v, height) * width + place(u, width)];
}

// Values as a picture: `top` has the brightest colour.
export function heatImage({ data, width, height }, top, log) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  if (log) {
    const colors = logColors(top);
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    for (let i = 0; i < pixels.length; i++) pixels[i] = colors[bits[i] >>> 16];
  } else {
    const scale = top > 0 ? 255 / top : 0;        // as heatIndex has it
    for (let i = 0; i < pixels.length; i++) {
      const index = (scale * data[i] + 0.5) | 0;  // Math.round takes five times as long
      pixels[i] = HEAT[index > 255 ? 255 : index];
    }
  }
  return image;
}

const memo = { top: null, colors: new Uint32Array(2 ** 15) };

// The colour of every number >= 0 by the upper half of its float32: a logarithm for each pixel would take longer.
function logColors(top) {
  if (memo.top === top) return memo.colors;
  memo.top = top;
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  for (let i = 0; i < memo.colors.length; i++) {
    bits[0] = (i << 16) | 0x8000;
    memo.colors[i] = HEAT[heatIndex(number[0], top, true)];
  }
  return memo.colors;
}
