// What a model of the eye says about a lane's last picture: where it sees a difference, how far that is in JPEG, and beside
// it the metrics. It was asked about the end of a run alone, so nothing here follows the scrubber.

import { paint } from "./canvas.js";
import { HEAT, HEAT_CSS, heatIndex } from "./heat.js";
import { make } from "./dom.js";
import { frameAt, isPair, lastStep } from "./model.js";
import { laneName, metricTitle } from "./names.js";
import { newPicture } from "./picture.js";
import { decodePng } from "./png.js";
import { hasVerdicts } from "./verdicts.js";
import { rulerText } from "./ruler.js";
import { number, shortNumber } from "./text.js";

const NAME = "flip";
const WAITING = "A model of the eye (FLIP) is asked last, when all else is there.";
const NOT_ASKED = "A model of the eye (FLIP) was not asked about this recording.";

export function newEye(root, model) {
  const picture = newPicture(root, "map");
  const eye = { picture, root: make("section", { className: "rv-eye" }), text: make("p"), scale: make("span"),
    bar: make("span", { className: "rv-heat" }) };
  eye.bar.style.background = HEAT_CSS;
  picture.caption.append(make("span", { className: "rv-scale-bar" }, "0", eye.bar, eye.scale));
  eye.root.append(picture.figure, eye.text);
  eye.root.hidden = hasVerdicts(model);
  return eye;
}

export function showEye(eye, model, lane) {
  const said = model.eye;
  const waits = !said && ["running", "done", "stopped"].includes(model.state);
  const seen = Boolean(said?.maps);
  eye.root.classList.toggle("rv-unseen", !seen && !waits);
  eye.picture.figure.style.visibility = seen ? "" : "hidden";
  const text = seen ? sentence(model, lane) : waits ? WAITING : said?.missing ?? NOT_ASKED;
  if (eye.text.textContent !== text) eye.text.textContent = text;
  if (!seen) return;
  const top = Math.max(...said.map_peak);
  eye.scale.textContent = shortNumber(top);
  const name = isPair(model) ? "The two pictures" : laneName(model, lane);
  eye.picture.canvas.setAttribute("aria-label", `${name}: where a model of the eye (FLIP) sees a difference in the end`);
  images(model).then((all) => { if (model.eye === said) paint(eye.picture.canvas, all[lane]); }, () => {});
}

// Every lane's map as ImageData, decoded once. The colours have one scale for all lanes.
function images(model) {
  const { eye } = model;
  eye.images ??= decodePng(eye.maps).then(({ data }) => {
    const [height, width] = eye.map_size;
    const top = Math.max(...eye.map_peak);
    return eye.map_peak.map((peak, lane) => {
      const image = new ImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      const from = 4 * lane * pixels.length;
      for (let i = 0; i < pixels.length; i++)
        pixels[i] = HEAT[heatIndex(peak * (data[from + 4 * i] / 255) ** 2, top)];
      return image;
    });
  });
  return eye.images;
}

// "To a model of the eye (FLIP 0.050) step 40 is about a JPEG of quality 64, to R-LPIPS l∞ one of 21, to LPIPS further than
// quality 1." The nearest first.
export function sentence(model, lane) {
  const eye = quality({ ruler: model.eye.ruler }, NAME, model.eye.distance[lane]);
  const frame = frameAt(model, lane, lastStep(model));
  const distances = frame?.distance_8bit[frame.lanes.indexOf(lane)] ?? [];
  const metrics = model.meta.metrics.map((name, m) => ({ title: metricTitle(model, m),
    ...quality(model, name, distances[m] ?? null) })).filter((each) => each.kind !== "unknown");
  metrics.sort((a, b) => b.rank - a.rank);
  const parts = metrics.map((each) => `to ${each.title} ${phrase(each, true)}`);
  const which = isPair(model) ? "this" : model.meta.lanes[lane] === "noise" ? "the noise" : `step ${lastStep(model)}`;
  const first = `To a model of the eye (FLIP ${number(model.eye.distance[lane])}) ${which} is ${phrase(eye, false)}`;
  return `${[first, ...parts].join(", ")}.`;
}

// A distance in JPEG: the quality, and whether it is beyond the ruler's ends. The higher the rank, the nearer.
function quality(model, metric, distance) {
  const { long, short } = rulerText(model, "jpeg", metric, distance);
  const found = Number(/quality (\d+)/.exec(long)?.[1] ?? NaN);
  if (short === "identical") return { kind: "same", rank: 200 };
  if (!Number.isFinite(found)) return { kind: "unknown", rank: 0 };
  if (short === "beyond all") return { kind: "further", found, rank: found - 0.5 };
  if (short === "below all") return { kind: "nearer", found, rank: found + 0.5 };
  return { kind: "about", found, rank: found };
}

function phrase({ kind, found }, later) {
  if (kind === "same") return "no change";
  if (kind === "unknown") return "a change";
  const jpeg = later ? `one of ${found}` : `a JPEG of quality ${found}`;
  if (kind === "about") return later ? jpeg : `about ${jpeg}`;
  return kind === "further" ? `further than ${later ? `quality ${found}` : jpeg}` : `less than ${jpeg}`;
}
