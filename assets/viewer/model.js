// The model: everything known about the run on show. It takes the messages of the stream, in any completeness, and
// answers the questions of the views. Nothing in this file touches the page.

export function newModel() {
  return {
    run: null, state: "empty", meta: null, ruler: null, eye: null, files: null,
    past: new Set(),      // runs whose place another has taken: what comes late of them is of no use
    curve: { distance: [], per_layer: [], linf: [], l2: [], probabilities: [] },
    pixels: {},           // the reference and the start as ImageData, once they are decoded
    frames: [],           // sorted by step; each {step, lanes, perturbation, maps, ..., decoded, requested}
    trouble: null,        // a sentence for the user, if pictures could not be loaded
    layerPeak: [],        // per metric: the largest share of a layer so far, the full length of its bars
    mapPeak: [],          // per metric: the largest value of a map of all layers so far
    layerMapPeak: [],     // per metric and layer: the same of the layer's maps
    heads: null,          // per trunk: the weights of its metrics, once they are loaded (see channels.js)
  };
}

// Takes a message, whose curve and ruler are JSON. Returns true if it starts another run: then the views begin anew.
export function accept(model, message) {
  if (model.past.has(message.run)) return false;
  const fresh = message.run !== model.run;
  if (fresh) Object.assign(model, newModel(), { run: message.run, past: model.past.add(model.run) });
  model.state = message.state || model.state;
  for (const key of ["meta", "files", "eye"]) if (message[key]) model[key] = message[key];
  if (message.ruler) model.ruler = JSON.parse(message.ruler);
  if (message.curve) spliceCurve(model, JSON.parse(message.curve));
  for (const frame of Object.values(message.frames || {})) addFrame(model, frame);
  // A restart makes the curve shorter: frames beyond its new end belong to the attempt before.
  if (message.curve) model.frames = model.frames.filter((frame) => frame.step <= lastStep(model));
  findPeaks(model);
  return fresh;
}

// Entries replace those from `first` on and end the curve. A lost message leaves holes: undefined, drawn as gaps.
function spliceCurve(model, piece) {
  for (const key of Object.keys(model.curve)) {
    const before = model.curve[key].slice(0, piece.first);
    before.length = piece.first;
    model.curve[key] = before.concat(piece[key] || []);
  }
}

// The last message of a run repeats every frame, often under another file name. Where the readings show that it is the
// same picture, its decoded bytes stay, so that the end of a run loads nothing twice.
function addFrame(model, frame) {
  const same = (other) => other.step === frame.step && String(other.lanes) === String(frame.lanes);
  const old = model.frames.findIndex(same);
  if (old < 0) {
    model.frames.push({ ...frame });
    model.frames.sort((a, b) => a.step - b.step);
  } else {
    const readings = (f) => JSON.stringify([f.map_peak, f.distance_8bit, f.l2_8bit]);
    const decoded = readings(model.frames[old]) === readings(frame) ? model.frames[old].decoded : undefined;
    model.frames[old] = { ...frame, decoded, requested: Boolean(decoded) };
  }
}

function findPeaks(model) {
  const metrics = model.meta ? model.meta.metrics.length : 0;
  const largest = (values) => values.reduce((a, b) => Math.max(a, b || 0), 0);
  const perMetric = (pick) => Array.from({ length: metrics }, (_, m) => largest(pick(m)));
  const shares = model.curve.per_layer.filter(Boolean);
  model.layerPeak = perMetric((m) => shares.flatMap((lanes) => lanes.flatMap((lane) => lane?.[m] || [])));
  model.mapPeak = perMetric((m) => model.frames.flatMap((frame) => frame.peak.map((lane) => lane[m])));
  model.layerMapPeak = Array.from({ length: metrics }, (_, m) => (model.meta.layers || []).map((_, layer) =>
    largest(model.frames.flatMap((frame) => frame.map_peak.map((lane) => lane[m][layer])))));
}

export const lastStep = (model) => Math.max(0, model.curve.distance.length - 1);

// What the server calls the trace's file, once it is there.
export const traceDigest = (model) => model.files?.trace?.path?.split(/[\\/]/).at(-2);

export const isPair = (model) => model.meta.steps === 0;

// The latest frame up to `step` that has the lane. With `decodedOnly` the latest decoded one, or else the first after
// `step`.
export function frameAt(model, lane, step, decodedOnly = false) {
  const frames = model.frames.filter((f) => f.lanes.includes(lane) && (!decodedOnly || f.decoded));
  return frames.filter((f) => f.step <= step).at(-1) || (decodedOnly ? frames[0] : undefined);
}

// A lane's entry in the curves; null where it is missing: a lost message, or a number that was not finite.
export const reading = (model, key, step, ...path) =>
  path.reduce((value, index) => value?.[index], model.curve[key][step]) ?? null;
