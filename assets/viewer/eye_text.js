// What a model of the eye says about a lane's last picture, and the metrics beside it, in JPEG.

import { frameAt, isPair, lastStep } from "./model.js";
import { metricTitle } from "./names.js";
import { rulerText } from "./ruler.js";
import { number } from "./text.js";

const NAME = "flip";

// "To a model of the eye (FLIP 0.050) step 40 is about a JPEG of quality 64, to R-LPIPS l∞ one of 21, to LPIPS further
// than quality 1." The nearest first.
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
