// The sign of a trace in a chart's legend: its colour, and its line and marker or the pattern of its bars.

const DASHES = { solid: "", dash: "7 4", dot: "2 3" };

const PATTERNS = { "/": "M0 12L12 0M-3 3L3-3M9 15L15 9M-3 9L9-3M3 15L15 3", ".": "M3 3h1M8 3h1M3 8h1M8 8h1" };

const MARKERS = { circle: `<circle cx="15" cy="6" r="4.5"/>`, square: `<rect x="11" y="2" width="8" height="8"/>`,
  diamond: `<path d="M15 .5L20.500 6L15 11.500L9.500 6Z"/>` };

export function swatch({ type, line, marker }) {
  const color = line?.color ?? marker?.color;
  if (type === "bar") {
    const pattern = PATTERNS[marker.pattern?.shape];
    return `<svg width="14" height="12" viewBox="0 0 14 12" aria-hidden="true">`
      + `<rect width="14" height="12" rx="2" fill="${color}"/>`
      + `${pattern ? `<path d="${pattern}" stroke="#fff" stroke-width="1.2" opacity=".75"/>` : ""}</svg>`;
  }
  return `<svg width="30" height="12" viewBox="0 0 30 12" fill="${color}" aria-hidden="true">`
    + `<path d="M0 6H30" stroke="${color}" stroke-width="2.4" stroke-dasharray="${DASHES[line.dash] ?? ""}"/>`
    + `${MARKERS[marker?.symbol] ?? ""}</svg>`;
}
