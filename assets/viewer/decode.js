// Files in, pixels out, exactly: no colour management, no premultiplication, nothing between the attack and
// the eye. Then the three kinds of picture made of them, as ImageData that is only copied onto a canvas while
// scrubbing.

const DECODED_BYTES = 256 * 2 ** 20;   // a 256 x 256 trace needs 10 MB; one of 1024 x 1024 just fits
const PAINTED_BYTES = 160 * 2 ** 20;

const TROUBLE = "Some pictures could not be loaded: their files are gone from the server. Run it again.";

let decodedCount = 0;   // numbers what was decoded; what is painted of it is cached under that number

// A map that forgets what was used longest ago, once its budget of bytes is spent.
function newCache(budget) {
  const kept = new Map();
  let bytes = 0;
  return {
    get(key, paintIt) {
      let value = kept.get(key);
      if (value) kept.delete(key);
      else { value = paintIt(); bytes += value.data.length; }
      kept.set(key, value);
      for (const [old, gone] of kept) {
        if (bytes <= budget || old === key) break;
        kept.delete(old);
        bytes -= gone.data.length;
      }
      return value;
    },
    clear() { kept.clear(); bytes = 0; },
  };
}

async function fetchBitmap({ url }) {
  const blob = url.startsWith("data:") ? inlineBlob(url) : await fetchBlob(url);
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

async function fetchBlob(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`a picture could not be loaded (${response.status})`);
  return response.blob();
}

// A base64 address; fetch would take 20 ms for it.
function inlineBlob(url) {
  const text = atob(url.slice(url.indexOf(",") + 1));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: url.slice(5, url.indexOf(";")) });
}

async function decodePng(file) {
  const bitmap = await fetchBitmap(file);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// Decodes the pictures of a run: those on show, and all others, the nearest first, once the visitor comes near them or the
// run is done. Until then they would be bytes for nothing. `changed` is called after each.
function newLoader(model, view, changed) {
  let working = null;     // the job at work; another run makes the loop of the old one end
  let bytes = 0;
  const sources = new Map();    // address -> pixels, the last two: the same picture is often attacked again
  const distance = (frame) => Math.abs(frame.step - view.step) + (frame.step > view.step ? 0.5 : 0);

  async function loadSource(run, key) {
    const file = model.meta[key];
    const pixels = sources.get(file.url) ?? await decodePng(file);
    sources.delete(file.url);     // so that it counts as the latest
    sources.set(file.url, pixels);
    if (sources.size > 2) sources.delete(sources.keys().next().value);
    if (model.run === run) { model.pixels[key] = pixels; changed(); }
  }

  async function loadFrame(run, frame) {
    const [perturbation, maps] = await Promise.all([decodePng(frame.perturbation), decodePng(frame.maps)]);
    if (model.run !== run || !model.frames.includes(frame)) return;
    frame.decoded = { id: ++decodedCount, perturbation: perturbation.data, maps: redOnly(maps.data) };
    bytes += size(frame);
    forgetFarthest();
    changed();
  }

  const size = (frame) => frame.decoded.perturbation.length + frame.decoded.maps.length;

  function forgetFarthest() {
    const loaded = model.frames.filter((f) => f.decoded).sort((a, b) => distance(b) - distance(a));
    for (const frame of loaded.slice(0, -2)) {
      if (bytes <= DECODED_BYTES) return;
      bytes -= size(frame);
      frame.decoded = undefined;
      frame.asked = false;
    }
  }

  function next() {
    const onShow = view.lanes.map((lane) => frameAt(model, lane, view.step));
    // With the budget spent only a frame on show is worth another one's place.
    const all = (view.explored || ["done", "stopped"].includes(model.state)) && bytes <= 0.9 * DECODED_BYTES;
    return model.frames.filter((f) => !f.asked && (all || onShow.includes(f)))
      .sort((a, b) => distance(a) - distance(b))[0];
  }

  async function work(run) {
    bytes = model.frames.reduce((sum, frame) => sum + (frame.decoded ? size(frame) : 0), 0);
    const missing = ["reference", "start"].filter((key) => model.meta[key] && !model.pixels[key]);
    const sourcesLoaded = Promise.all(missing.map((key) => loadSource(run, key)));
    async function loadNext() {
      for (let frame = next(); frame && model.run === run; frame = next()) {
        frame.asked = true;
        await loadFrame(run, frame).catch(() => { model.trouble = TROUBLE; });
        await sourcesLoaded;
      }
    }
    // Two at a time: the server answers the next one while this one is decoded. Once more if frames came while
    // there was nothing but the sources to wait for.
    do await Promise.all([sourcesLoaded, loadNext(), loadNext()]); while (model.run === run && next());
  }

  // Ends when there is nothing left to load; called again meanwhile, it goes on with what has come.
  return function load() {
    if (!model.meta) return Promise.resolve();
    if (working?.run !== model.run) {
      const job = { run: model.run };
      working = job;
      job.done = work(job.run)
        .catch(() => { model.trouble = TROUBLE; })
        .finally(() => { if (working === job) working = null; });
    }
    return working.done;
  };
}

// Maps are grey: one byte of every four is enough to keep.
function redOnly(rgba) {
  const grey = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < grey.length; i++) grey[i] = rgba[4 * i];
  return grey;
}

// The bytes of lane `row` of a stack of lanes.
const laneBytes = (stack, row, count) => stack.subarray(row * count, (row + 1) * count);

// The picture that was pushed, before it was pushed.
const startPixels = (model) => (model.meta.start ? model.pixels.start : model.pixels.reference);

// attacked8 = (start8 + byte - 128) mod 256; the Uint8ClampedArray of ImageData would clamp, hence the mask.
function attackedImage(model, frame, lane) {
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

// 128 + factor * (attacked8 - start8), clipped. The difference comes from the attacked picture as integers,
// because the file's byte is that difference modulo 256 only.
function perturbationImage(model, attacked, factor) {
  const table = new Uint8ClampedArray(511);
  for (let delta = -255; delta <= 255; delta++) table[delta + 255] = 128 + factor * delta;
  const [from, end] = [startPixels(model).data, attacked.data];
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

// value = peak * (byte / 255)², so that small values keep some resolution in 8 bits.
const mapValue = (peak, byte) => peak * (byte / 255) ** 2;

function mapImage(model, frame, lane, metric, scale) {
  const [height, width] = frame.map_size;
  const peak = frame.map_peak[frame.lanes.indexOf(lane)][metric];
  const colors = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) colors[byte] = HEAT[heatIndex(mapValue(peak, byte), scale)];
  const bytes = mapBytes(model, frame, lane, metric);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[bytes[i]];
  return image;
}

const heatIndex = (value, scale) => Math.round(255 * Math.min(1, scale > 0 ? value / scale : 0));

// Perceptually uniform and readable in grey: every 16th colour of inferno (Smith and van der Walt, CC0), and
// straight lines between them.
const HEAT_STOPS = ("000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 " +
  "d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4").split(" ");

const HEAT = Uint32Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (HEAT_STOPS.length - 1);
  const below = Math.min(Math.floor(at), HEAT_STOPS.length - 2);
  const channel = (k, stop) => parseInt(HEAT_STOPS[stop].slice(2 * k, 2 * k + 2), 16);
  const [r, g, b] = [0, 1, 2].map((k) => {
    const low = channel(k, below);
    return Math.round(low + (at - below) * (channel(k, below + 1) - low));
  });
  return (255 << 24) | (b << 16) | (g << 8) | r;      // little-endian RGBA, as everywhere browsers run
});

const HEAT_CSS = `linear-gradient(90deg, ${HEAT_STOPS.map((c) => "#" + c).join(", ")})`;
