// The model: everything known about the run on show. It takes the messages of the stream, in any
// completeness, and answers what the views ask. Nothing in this file touches the page.

const LAST = (list) => list[list.length - 1];

function newModel() {
  return {
    run: null, state: "empty", meta: null, ruler: null, files: null,
    curve: { distance: [], per_layer: [], linf: [], l2: [], probabilities: [] },
    pixels: {},           // the reference and the start as ImageData, once they are decoded
    frames: [],           // sorted by step; each {step, lanes, perturbation, maps, ..., decoded}
    trouble: null,        // a sentence for the user, if pictures could not be loaded
    layerPeak: [],        // per metric: the largest share of a layer so far, the full length of its bars
    mapPeak: [],          // per metric: the largest value of a map so far
  };
}

// Takes one message in, whose curve and ruler are JSON; returns true if it starts another run, so that the views forget the last one.
function accept(model, message) {
  const fresh = message.run !== model.run;
  if (fresh) Object.assign(model, newModel(), { run: message.run });
  model.state = message.state || model.state;
  for (const key of ["meta", "files"]) if (message[key]) model[key] = message[key];
  if (message.ruler) model.ruler = JSON.parse(message.ruler);
  if (message.curve) spliceCurve(model, JSON.parse(message.curve));
  for (const frame of Object.values(message.frames || {})) addFrame(model, frame);
  // A restart makes the curve shorter: what lay beyond its new end belongs to the attempt given up.
  if (message.curve) model.frames = model.frames.filter((frame) => frame.step <= lastStep(model));
  findPeaks(model);
  return fresh;
}

// Entries replace those from `first` on and end the curve. A lost message leaves holes: undefined, drawn as
// gaps.
function spliceCurve(model, piece) {
  for (const key of Object.keys(model.curve)) {
    const kept = model.curve[key].slice(0, piece.first);
    kept.length = piece.first;
    model.curve[key] = kept.concat(piece[key] || []);
  }
}

// The last message of a run repeats every frame, often under another file name: what is decoded already is
// kept when the readings say that it is the same picture, so that the end of a run loads nothing twice.
function addFrame(model, frame) {
  const same = (other) => other.step === frame.step && String(other.lanes) === String(frame.lanes);
  const old = model.frames.findIndex(same);
  if (old < 0) {
    model.frames.push({ ...frame });
    model.frames.sort((a, b) => a.step - b.step);
  } else {
    const readings = (f) => JSON.stringify([f.map_peak, f.distance_8bit, f.l2_8bit]);
    const decoded = readings(model.frames[old]) === readings(frame) ? model.frames[old].decoded : undefined;
    model.frames[old] = { ...frame, decoded, asked: Boolean(decoded) };
  }
}

function findPeaks(model) {
  const metrics = model.meta ? model.meta.metrics.length : 0;
  const largest = (values) => values.reduce((a, b) => Math.max(a, b || 0), 0);
  const over = (pick) => Array.from({ length: metrics }, (_, m) => largest(pick(m)));
  const shares = model.curve.per_layer.filter(Boolean);
  model.layerPeak = over((m) => shares.flatMap((lanes) => lanes.flatMap((lane) => lane?.[m] || [])));
  model.mapPeak = over((m) => model.frames.flatMap((frame) => frame.map_peak.map((lane) => lane[m])));
}

const lastStep = (model) => Math.max(0, model.curve.distance.length - 1);

const isPair = (model) => model.meta.steps === 0;

// The latest frame up to `step` that has the lane; only decoded ones if asked, then the nearest in either
// direction.
function frameAt(model, lane, step, decodedOnly = false) {
  const have = model.frames.filter((f) => f.lanes.includes(lane) && (!decodedOnly || f.decoded));
  return LAST(have.filter((f) => f.step <= step)) || (decodedOnly ? have[0] : undefined);
}

// A lane's entry in the curves, which may be missing: a lost message, or a number that was not finite.
const reading = (model, key, step, ...path) =>
  path.reduce((value, index) => value?.[index], model.curve[key][step]) ?? null;

// What the ruler says of a distance, in words, long and short: the entry nearest in log distance, as
// rlpips.data.distortions.Ruler.read has it.
function rulerWords(model, distortionName, metric, distance) {
  const column = model.ruler ? model.ruler.metrics.indexOf(metric) : -1;
  const distortion = model.ruler?.distortions.find((d) => d.name === distortionName);
  if (!distortion || column < 0 || distance === null) return { long: "", short: "–" };
  const { words, title } = distortion;
  const bare = (text) => (text.startsWith(title + " ") ? text.slice(title.length + 1) : text);
  const known = distortion.distance.map((row) => row[column]);
  if (distance > LAST(known))
    return { long: `further than any ${title} tried (${bare(LAST(words))})`, short: "beyond all" };
  if (distance < known[0])
    return { long: `nearer than the mildest ${title} tried (${bare(words[0])})`, short: "below all" };
  const TINY = 1e-12;               // a grey picture is as far from its grey version as from itself: 0
  const apart = known.map((value) => Math.abs(Math.log((value + TINY) / (distance + TINY))));
  const index = apart.indexOf(Math.min(...apart));
  return { long: `as far as ${words[index]}`, short: bare(words[index]) };
}

// The ruler's mark in the chart: a strong but familiar severity, two thirds of the way (JPEG quality 10 or
// so).
function rulerMark(model, distortionName, metric) {
  const column = model.ruler ? model.ruler.metrics.indexOf(metric) : -1;
  const distortion = model.ruler?.distortions.find((d) => d.name === distortionName);
  if (!distortion || column < 0) return null;
  const index = Math.round(0.65 * (distortion.words.length - 1));
  return { words: distortion.words[index], distance: distortion.distance[index][column] };
}

function laneName(model, lane) {
  const name = model.meta.lanes[lane];
  if (name === "pair") return "The two pictures";
  if (name === "noise") return "Noise of the same budget";
  if (isFooling(model)) return `${attackOf(model, lane).title}, ${boundWords(model, lane)}`;
  return `Attacked against ${model.meta.titles[name] || name}`;
}

const laneShortName = (model, lane) =>
  ({ pair: "second picture", noise: "noise" })[model.meta.lanes[lane]] ||
  (isFooling(model) && attackOf(model, lane).title) ||
  `against ${model.meta.titles[model.meta.lanes[lane]] || model.meta.lanes[lane]}`;
