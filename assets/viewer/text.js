// Numbers as text.

// Three figures where it matters, and never a jumping width.
export function number(value, most = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return value.toFixed(size >= 0.01 ? 3 : Math.min(4, most));
}

// For scales: as few characters as will do.
export const shortNumber = (value) =>
  value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2)
    : value > 0 ? value.toPrecision(1) : "0";

// No difference at all is an infinite ratio; JSON has no infinity, so it comes as null.
export const decibels = (value) => (value === null ? "∞" : `${number(value)} dB`);

export const in255 = (value) => (value === null ? "–" : String(Number((value * 255).toFixed(2))));

const factor = (ratio) => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1));

export function growth(before, now) {
  if (!before || !now) return "–";
  return now >= before ? `× ${factor(now / before)}` : `÷ ${factor(before / now)}`;
}

// A probability close to certainty must not look like certainty.
export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0.995 && share < 1) return ">\u00a099\u00a0%";
  if (share < 0.005 && share > 0) return "<\u00a01\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}
