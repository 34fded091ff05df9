// A frame's bytes in, its pictures out, as ImageData: scrubbing only copies them onto a canvas.

import { decodeFloats, decodePng } from "./png.js";

let count = 0;                        // numbers the decoded frames; pictures made of one are cached under its number

// The files of a frame: the perturbations of its lanes, one below the other (RGBA), its maps (grey tiles; see maps.js),
// its flows (grey), if pixels are moved, and for each trunk the mean squared difference of every channel of every lane
// (see channels.js).
export async function decodeFrame(frame) {
  const [perturbation, maps, flow, ...channels] = await Promise.all([
    decodePng(frame.perturbation), decodePng(frame.maps), frame.flow && decodePng(frame.flow),
    ...(frame.channels || []).map(decodeFloats)]);
  return { id: ++count, perturbation: perturbation.data, maps: redOnly(maps.data), mapsWidth: maps.width, channels,
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

// 128 + factor * (attacked8 - start8), clipped. The difference comes from the pictures as integers, because the
// file's byte is that difference modulo 256 only.
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
