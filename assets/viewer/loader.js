// Decodes the pictures of a run: those on show at once, and all others, the nearest first, when the visitor comes near
// them or the run has ended. Before that nobody would see them.

import { loadHeads } from "./channels.js";
import { decodeFrame } from "./decode.js";
import { frameAt } from "./model.js";
import { decodePng } from "./png.js";

const DECODED_BYTES = 256 * 2 ** 20;  // a 256 x 256 trace needs 10 MB; one of 1024 x 1024 just fits

const TROUBLE = "Some pictures could not be loaded: their files are gone from the server. Run it again.";

// `changed` is called after each picture.
export function newLoader(model, view, changed) {
  let job = null;                     // the work on the run on show; the loop of an older run ends by itself
  let bytes = 0;
  const sources = new Map();          // address -> pixels, the last two: the same picture is often attacked again
  const distance = (frame) => Math.abs(frame.step - view.step) + (frame.step > view.step ? 0.5 : 0);

  async function loadSource(run, key) {
    const file = model.meta[key];
    const pixels = sources.get(file.url) ?? await decodePng(file);
    sources.delete(file.url);         // so that it counts as the latest
    sources.set(file.url, pixels);
    if (sources.size > 2) sources.delete(sources.keys().next().value);
    if (model.run === run) { model.pixels[key] = pixels; changed(); }
  }

  async function loadFrame(run, frame) {
    const decoded = await decodeFrame(frame);
    if (model.run !== run || !model.frames.includes(frame)) return;
    frame.decoded = decoded;
    bytes += size(frame);
    forgetFarthest();
    changed();
  }

  const size = (frame) => frame.decoded.perturbation.length + frame.decoded.maps.length;

  async function loadWeights(run) {
    const heads = await loadHeads(model);
    if (model.run === run) { model.heads = heads; changed(); }
  }

  function forgetFarthest() {
    const decoded = model.frames.filter((frame) => frame.decoded).sort((a, b) => distance(b) - distance(a));
    for (const frame of decoded.slice(0, -2)) {
      if (bytes <= DECODED_BYTES) return;
      bytes -= size(frame);
      frame.decoded = undefined;
      frame.requested = false;
    }
  }

  function next() {
    const onShow = view.lanes.map((lane) => frameAt(model, lane, view.step));
    // With the budget spent only a frame on show is worth another one's place.
    const all = (view.explored || ["done", "stopped"].includes(model.state)) && bytes <= 0.9 * DECODED_BYTES;
    return model.frames.filter((frame) => !frame.requested && (all || onShow.includes(frame)))
      .sort((a, b) => distance(a) - distance(b))[0];
  }

  async function work(run) {
    bytes = model.frames.reduce((sum, frame) => sum + (frame.decoded ? size(frame) : 0), 0);
    const missing = ["reference", "start"].filter((key) => model.meta[key] && !model.pixels[key]);
    const sourcesLoaded = Promise.all(missing.map((key) => loadSource(run, key)));
    const weightsLoaded = model.heads ? null : loadWeights(run);
    async function loadNext() {
      for (let frame = next(); frame && model.run === run; frame = next()) {
        frame.requested = true;
        await loadFrame(run, frame).catch(() => { model.trouble = TROUBLE; });
        await sourcesLoaded;
      }
    }
    // Two at a time: the server answers the next one while this one is decoded. Again if frames came while the sources
    // were all there was to wait for.
    do await Promise.all([sourcesLoaded, loadNext(), loadNext(), weightsLoaded]); while (model.run === run && next());
  }

  // Ends when there is nothing left to load. A call in the meantime joins the work that is going on.
  return function load() {
    if (!model.meta) return Promise.resolve();
    if (job?.run !== model.run) {
      const mine = { run: model.run };
      job = mine;
      mine.done = work(mine.run)
        .catch(() => { model.trouble = TROUBLE; })
        .finally(() => { if (job === mine) job = null; });
    }
    return job.done;
  };
}
