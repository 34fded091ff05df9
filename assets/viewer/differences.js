// What every channel answers at every position, at one step: fetched when it is looked at, and then kept.
//
// The file (written and described by rlpips/engine/differences.py): 4 bytes with the length of the header; the
// header, JSON {format, step, lanes: [names], metrics: [names], octaves, layers: [{name, channels, size: [h, w],
// peak}]}; then, packed, for each layer (1 + lanes) x channels x h x w bytes, the answers to the reference first. The
// bytes of a picture are sorted, stably, by those of the picture before it, ties by those before that. An answer is
// (b / 255)^2. A difference has the size 0, or peak * 2^(((b & 127) - 127) * octaves / 126), and is negative for b
// above 128. Weights are not applied.

import { traceDigest } from "./model.js";
import { hasVerdicts } from "./verdicts.js";

const PAUSE = 250;                    // ms for which a step stays on show before its file is fetched

const ANSWERS = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

// The bytes of a layer's pictures, `count` each, in the order of its positions.
function unsorted(rows, count) {
  const bytes = new Uint8Array(rows.length);
  bytes.set(rows.subarray(0, count));
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  for (let start = count; start < rows.length; start += count) {
    order = sortedBy(order, rows.subarray(start - count, start));
    for (let i = 0; i < count; i++) bytes[start + order[i]] = rows[start + i];
  }
  return bytes;
}

// Positions in the order of their bytes, `row`; equal ones as they come.
function sortedBy(order, row) {
  const next = new Uint32Array(256), sorted = new Uint32Array(order.length);
  for (const byte of row) next[byte]++;
  let before = 0;
  for (let byte = 0; byte < 256; byte++) [next[byte], before] = [before, before + next[byte]];
  for (let i = 0; i < row.length; i++) sorted[next[row[i]]++] = order[i];
  return sorted;
}

// {step, lanes, channel, vectorsAt, layerMap}; a lane is given by its name.
async function decodeDifferences(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { octaves, step, lanes, layers } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const packed = new Blob([new Uint8Array(buffer, 4 + length)]).stream();
  const unpacked = packed.pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
  let first = 0, at = 0;
  const parts = layers.map(({ channels, size: [height, width], peak }) => {
    const size = (level) => (level ? peak * 2 ** (((level - 127) * octaves) / 126) : 0);
    const table = Float32Array.from({ length: 256 }, (_, byte) => (byte > 128 ? -1 : 1) * size(byte & 127));
    const part = { first, channels, height, width, table, of: channels * height * width };
    part.bytes = unsorted(bytes.subarray(at, at + (1 + lanes.length) * part.of), part.of);
    first += channels;
    at += part.bytes.length;
    return part;
  });
  const squares = parts.map(({ table }) => table.map((value) => value * value));
  const start = (part, lane) => (1 + lanes.indexOf(lane)) * part.of;

  // One channel's maps: answers to the original and to the lane's picture, and the squared difference.
  function channel(c, lane) {
    const l = parts.findIndex(({ first, channels }) => c < first + channels);
    const { first, height, width, table, bytes } = parts[l];
    const from = (c - first) * height * width, to = from + height * width;
    const codes = bytes.subarray(start(parts[l], lane) + from, start(parts[l], lane) + to);
    const original = Float32Array.from(bytes.subarray(from, to), (byte) => ANSWERS[byte]);
    return { height, width, original, attacked: original.map((f, i) => Math.max(0, f + table[codes[i]])),
      difference: Float32Array.from(codes, (byte) => squares[l][byte]) };
  }

  // What all channels answer at a place of the picture, in fractions of its sides: {original, attacked, squared}, (C).
  function vectorsAt(lane, u, v) {
    const [original, attacked, squared] = [0, 1, 2].map(() => new Float64Array(first));
    for (const [l, part] of parts.entries()) {
      const place = Math.floor(v * part.height) * part.width + Math.floor(u * part.width), of = start(part, lane);
      for (let c = 0; c < part.channels; c++) {
        const at = place + c * part.height * part.width, code = part.bytes[of + at], to = part.first + c;
        original[to] = ANSWERS[part.bytes[at]];
        attacked[to] = Math.max(0, original[to] + part.table[code]);
        squared[to] = squares[l][code];
      }
    }
    return { original, attacked, squared };
  }

  // A layer's map under weights w (C,), at its own resolution, as values for maps.js: {data, width, height, top}.
  function layerMap(l, lane, w) {
    const { first, channels, height, width, bytes } = parts[l];
    const data = new Float32Array(height * width);
    for (let c = 0; c < channels; c++) {
      if (!w[first + c]) continue;
      const from = start(parts[l], lane) + c * data.length;
      for (let i = 0; i < data.length; i++) data[i] += w[first + c] * squares[l][bytes[from + i]];
    }
    return { data, width, height, top: data.reduce((a, b) => Math.max(a, b), 0) };
  }

  return { step, lanes, channel, vectorsAt, layerMap };
}

// The differences of a run's steps. `address` is Gradio's; `changed` is called when some have come.
export function newDifferences(model, address, changed) {
  let run = null, timer = null;
  let known = new Map();              // "step trunk" -> differences; undefined while they come, null if they never will

  async function get(digest, step, trunk) {
    const response = await fetch(address(`viewer/differences/${digest}/${step}/${trunk}`));
    if (!response.ok) throw new Error(await response.text());
    return decodeDifferences(await response.arrayBuffer());
  }

  // Those of the keyframe `step`: undefined while they come, null if there are none.
  return function at(step, trunk) {
    if (run !== model.run) { run = model.run; known = new Map(); }
    const key = `${step} ${trunk}`, mine = known;
    if (mine.has(key)) return mine.get(key);
    const digest = traceDigest(model);
    if (!digest || hasVerdicts(model)) return null;
    clearTimeout(timer);
    timer = setTimeout(() => {
      mine.set(key, undefined);
      get(digest, step, trunk).catch(() => null).then((differences) => { mine.set(key, differences); changed(); });
    }, PAUSE);
    return undefined;
  };
}
