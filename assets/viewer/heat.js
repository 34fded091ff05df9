// The colours of the difference maps. Perceptually uniform and readable in grey: every 16th colour of inferno
// (Smith and van der Walt, CC0), and straight lines between them.

const STOPS = ("000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 " +
  "d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4").split(" ");

// 256 colours as the 32-bit numbers of ImageData: little-endian RGBA, as everywhere browsers run.
export const HEAT = Uint32Array.from({ length: 256 }, (_, i) => {
  const at = (i / 255) * (STOPS.length - 1);
  const below = Math.min(Math.floor(at), STOPS.length - 2);
  const channel = (k, stop) => parseInt(STOPS[stop].slice(2 * k, 2 * k + 2), 16);
  const [r, g, b] = [0, 1, 2].map((k) => {
    const low = channel(k, below);
    return Math.round(low + (at - below) * (channel(k, below + 1) - low));
  });
  return (255 << 24) | (b << 16) | (g << 8) | r;
});

export const HEAT_CSS = `linear-gradient(90deg, ${STOPS.map((color) => `#${color}`).join(", ")})`;

// The place of a value among the colours: linear up to `top`, or logarithmic over the last three decades below it.
export const DECADES = 3;

export function heatIndex(value, top, log = false) {
  const share = top > 0 ? value / top : 0;
  if (!log) return Math.round(255 * Math.min(1, share));
  return share > 0 ? Math.round(255 * Math.min(1, Math.max(0, 1 + Math.log10(share) / DECADES))) : 0;
}
