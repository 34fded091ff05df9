// What every channel answers at every position, as rlpips.engine.responses writes it: bytes in, numbers out.

const LEAST = 1e-4;
const LEVELS = 127;

const ANSWERS = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);
const DIFFERENCES = Float32Array.from({ length: 256 }, (_, byte) => {
  const level = byte & 127;
  const size = level ? LEAST * LEAST ** -((level - 1) / (LEVELS - 1)) : 0;
  return byte > 128 ? -size : size;
});

// `message` is {step, lanes, sizes, channels, file}: the answers of one step.
export async function loadResponses({ lanes, sizes, channels, file }) {
  const response = await fetch(file.url);
  if (!response.ok) throw new Error(`the answers of the channels could not be loaded (${response.status})`);
  const whole = response.body.pipeThrough(new DecompressionStream("deflate"));
  return newResponses(lanes, sizes, channels, new Uint8Array(await new Response(whole).arrayBuffer()));
}

// `bytes` hold the answers to the reference, layer by layer, and then the differences of each lane.
export function newResponses(lanes, sizes, channels, bytes) {
  let first = 0, at = 0;
  const layers = channels.map((count, l) => {
    const [height, width] = sizes[l];
    const layer = { first, count, height, width, at };
    first += count;
    at += count * height * width;
    return layer;
  });
  const differences = (lane) => bytes.subarray(at * (1 + lanes.indexOf(lane)));

  // One channel's maps: answers to the original and to the lane's picture, and the squared difference.
  function channel(c, lane) {
    const { first, height, width, at } = layers.find(({ first, count }) => c < first + count);
    const from = at + (c - first) * height * width, to = from + height * width;
    const original = Float32Array.from(bytes.subarray(from, to), (byte) => ANSWERS[byte]);
    const change = Float32Array.from(differences(lane).subarray(from, to), (byte) => DIFFERENCES[byte]);
    return { height, width, original, difference: change.map((d) => d * d),
      attacked: original.map((f, i) => Math.max(0, f + change[i])) };
  }

  // The squared differences of all channels at a place of the picture, in fractions of its sides.
  function squaredAt(lane, u, v) {
    const squared = new Float64Array(first);
    const codes = differences(lane);
    for (const { first, count, height, width, at } of layers) {
      const place = at + Math.floor(v * height) * width + Math.floor(u * width);
      for (let c = 0; c < count; c++) squared[first + c] = DIFFERENCES[codes[place + c * height * width]] ** 2;
    }
    return squared;
  }

  // A layer's map under weights w (C,), at its own resolution: the weighted sum of its channels' squared differences.
  function layerMap(l, lane, w) {
    const { first, count, height, width, at } = layers[l];
    const codes = differences(lane);
    const map = new Float32Array(height * width);
    for (let c = 0; c < count; c++) {
      const weight = w[first + c];
      if (!weight) continue;
      const from = at + c * height * width;
      for (let i = 0; i < map.length; i++) map[i] += weight * DIFFERENCES[codes[from + i]] ** 2;
    }
    return { height, width, map };
  }

  return { lanes, channel, squaredAt, layerMap };
}
