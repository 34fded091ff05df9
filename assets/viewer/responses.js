// What every channel answers at every position, as rlpips.engine.responses writes it: bytes in, numbers out.

import { hasVerdicts } from "./verdicts.js";

const LEAST = 1e-4;
const LEVELS = 127;

const ANSWERS = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);
const DIFFERENCES = Float32Array.from({ length: 256 }, (_, byte) => {
  const level = byte & 127;
  const size = level ? LEAST * LEAST ** -((level - 1) / (LEVELS - 1)) : 0;
  return byte > 128 ? -size : size;
});

// `message` is {step, lanes, sizes, channels, file}: the answers of one step.
async function loadResponses({ lanes, sizes, channels, file }) {
  const response = await fetch(file.url);
  if (!response.ok) throw new Error(`the answers of the channels could not be loaded (${response.status})`);
  const whole = response.body.pipeThrough(new DecompressionStream("deflate"));
  return newResponses(lanes, sizes, channels, new Uint8Array(await new Response(whole).arrayBuffer()));
}

// `bytes` hold the answers to the reference, layer by layer, and then the differences of each lane.
function newResponses(lanes, sizes, channels, bytes) {
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

const PAUSE = 250;                    // ms for which a step stays on show before its answers are requested

// The answers of a run's steps, requested when they are looked at and then kept. `request` asks the server for those of a step;
// `changed` is called when some have come.
export function newAnswers(model, request, changed) {
  let run = null, timer = null;
  let known = new Map();              // step of a keyframe -> answers; undefined while they come, null if they never will

  // Those of the keyframe `step`.
  function at(step) {
    if (run !== model.run) { run = model.run; known = new Map(); }
    const stored = model.responses?.find((each) => each.step === step);
    if (known.has(step)) return known.get(step);
    if (stored) take(step, stored);
    else if (!model.files?.trace?.path || hasVerdicts(model)) return null;
    clearTimeout(timer);
    if (!stored) timer = setTimeout(() => {
      if (run !== model.run || known.has(step)) return;
      known.set(step, undefined);
      request({ run, step, trace: model.files.trace.path });
    }, PAUSE);
    return undefined;
  }

  function take(step, message) {
    const mine = known;
    mine.set(step, undefined);
    loadResponses({ ...message, channels: model.meta.trunks[0].channels })
      .catch(() => null).then((answers) => { mine.set(step, answers); changed(); });
  }

  // The server's reply to a request.
  function receive({ run: of, step, responses }) {
    if (of !== model.run || run !== of) return;
    if (responses) return take(step, responses);
    known.set(step, null);
    changed();
  }

  return { at, receive };
}
