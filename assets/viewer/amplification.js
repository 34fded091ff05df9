// By which factor a perturbation is amplified around grey.

import { isPair } from "./model.js";
import { expectedSize, hasVerdicts } from "./verdicts.js";

export const FACTORS = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64];

// The factor that lets the perturbation just about fill the range of the screen: l∞ bounds it in every pixel; otherwise
// it is taken as three standard deviations. How much moved pixels change is known only from the pictures.
export function fittingFactor(model) {
  const { norm, eps, width, height } = model.meta;
  if (hasVerdicts(model)) return nearestFactor(expectedSize(model));
  const deviation = isPair(model) || norm === "flow"
    ? 10 ** (-(model.frames.at(-1)?.psnr[0] ?? 40) / 20)
    : eps / Math.sqrt(3 * width * height);
  const size = 255 * (norm === "linf" && !isPair(model) ? eps : 3 * deviation);
  return nearestFactor(size);
}

function nearestFactor(size) {
  const miss = (factor) => Math.abs(factor * size - 100);
  return FACTORS.reduce((best, factor) => (miss(factor) < miss(best) ? factor : best));
}
