// A frame's bytes in, the three kinds of picture out, as ImageData: scrubbing only copies them onto a canvas.

import { HEAT, heatIndex } from "./heat.js";
import { decodePng } from "./png.js";

let count = 0;                        // numbers the decoded frames; pictures made of one are cached under its number

// The files of a frame: the perturbations of its lanes, one below the other (RGBA), its maps (grey), and its flows
// (grey), if pixels are moved.
export async function decodeFrame(frame) {
  const files = [frame.perturbation, frame.maps, ...(frame.flow ? [frame.flow] : [])];
  const [perturbation, maps, flow] = await Promise.all(files.map(decodePng));
  return { id: ++count, perturbation: perturbation.data, maps: redOnly(maps.data),
    flow: flow && redOnly(flow.data), measured: {} };
}

// Maps are grey: one byte of every four is enough to keep.
function redOnly(rgba) {
  const grey = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < grey.length; i++) grey[i] = rgba[4 * i];
  return grey;
}

// The bytes of lane `row` of a stack of lanes.
const laneBytes = (stack, row, size) => stack.subarray(row * size, (row + 1) * size);

// The picture before the attack.
export const startPixels = (model) => (model.meta.start ? model.pixels.start : model.pixels.reference);

// attacked8 = (start8 + byte - 128) mod 256; the Uint8ClampedArray of ImageData would clamp, hence the mask.
export function attackedImage(model, frame, lane) {
  const start = startPixels(model);
  const image = new ImageData(start.width, start.height);
  const [from, to] = [start.data, image.data];
  const bytes = laneBytes(frame.decoded.perturbation, frame.lanes.indexOf(lane), from.length);
  for (let i = 0; i < to.length; i += 4) {
    to[i] = (from[i] + bytes[i] + 128) & 255;
    to[i + 1] = (from[i + 1] + bytes[i + 1] + 128) & 255;
    to[i + 2] = (from[i + 2] + bytes[i + 2] + 128) & 255;
    to[i + 3] = 255;
  }
  return image;
}

// 128 + factor * (attacked8 - start8), clipped. The difference comes from the pictures as integers, because the file's
// byte is that difference modulo 256 only.
export function amplifiedChange(attacked, start, factor) {
  const table = new Uint8ClampedArray(511);
  for (let delta = -255; delta <= 255; delta++) table[delta + 255] = 128 + factor * delta;
  const [from, end] = [start.data, attacked.data];
  const image = new ImageData(attacked.width, attacked.height);
  const to = image.data;
  for (let i = 0; i < to.length; i += 4) {
    to[i] = table[end[i] - from[i] + 255];
    to[i + 1] = table[end[i + 1] - from[i + 1] + 255];
    to[i + 2] = table[end[i + 2] - from[i + 2] + 255];
    to[i + 3] = 255;
  }
  return image;
}

function mapBytes(model, frame, lane, metric) {
  const [height, width] = frame.map_size;
  const row = frame.lanes.indexOf(lane) * model.meta.metrics.length + metric;
  return laneBytes(frame.decoded.maps, row, height * width);
}

const mapPeak = (frame, lane, metric) => frame.map_peak[frame.lanes.indexOf(lane)][metric];

// value = peak * (byte / 255)², so that small values keep some resolution in 8 bits.
const mapValue = (peak, byte) => peak * (byte / 255) ** 2;

// The value of a map under the pixel (x, y) of the picture.
export function mapAt(model, frame, lane, metric, x, y) {
  const [height, width] = frame.map_size;
  const row = Math.floor((y * height) / model.meta.height);
  const column = Math.floor((x * width) / model.meta.width);
  return mapValue(mapPeak(frame, lane, metric), mapBytes(model, frame, lane, metric)[row * width + column]);
}

export function mapImage(model, frame, lane, metric, scale) {
  const [height, width] = frame.map_size;
  const peak = mapPeak(frame, lane, metric);
  const colors = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) colors[byte] = HEAT[heatIndex(mapValue(peak, byte), scale)];
  const bytes = mapBytes(model, frame, lane, metric);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[bytes[i]];
  return image;
}
