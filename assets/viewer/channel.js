// One channel: what it answers to the original and to the attacked picture, the squared difference, and the patch of
// the picture that it answers to most.

import { paint } from "./canvas.js";
import { make } from "./dom.js";
import { HEAT, heatIndex } from "./heat.js";
import { channelName, layersOf } from "./opened.js";
import { shortNumber } from "./text.js";

// How many pixels a response sees, layer by layer, by the sizes and strides of the convolutions before it.
const RECEPTIVE = {
  AlexNet: [11, 51, 99, 131, 163],
  VGG16: [5, 14, 40, 92, 196],
  "SqueezeNet 1.1": [3, 15, 31, 63, 95, 111, 127],
};

export function newChannel(panel, model, view) {
  const part = panel.querySelector(".rv-part-channel");
  const [heading, pictures, note] = ["h4", ".rv-activations", "p"].map((name) => part.querySelector(name));
  const panes = ["original", "attacked", "difference²", "responds most here"].map((title) => {
    const pane = { canvas: make("canvas", { role: "img", ariaLabel: title }), top: make("span") };
    pane.root = make("figure", {}, pane.canvas, make("figcaption", {}, make("span", { textContent: title }), pane.top));
    return pane;
  });
  pictures.append(...panes.map((pane) => pane.root));

  // `lane` is the name of the one on show, `differences` what its channels answer, `saved` whether the trace is.
  function show(lane, differences, saved) {
    const layers = layersOf(model, view.trunk);
    const name = channelName(layers, view.channel);
    heading.textContent = `The channel ${name}`;
    const maps = differences?.channel(view.channel, lane);
    pictures.hidden = !maps;
    note.textContent = maps ? sentence(maps) : differences === undefined ? "Its maps are being fetched…"
      : saved || lane === "noise" ? "There are no maps of single channels here."
      : "Its maps come when the run is over and saved.";
    if (!maps) return;
    const { original, attacked, difference, width, height } = maps;
    const top = Math.max(peak(original), peak(attacked));
    const shown = [[original, top], [attacked, top], [difference, peak(difference)]];
    for (const [k, [values, high]] of shown.entries()) {
      panes[k].top.textContent = `max ${shortNumber(peak(values))}`;
      panes[k].canvas.setAttribute("aria-label", `${name}, ${["original", "attacked", "squared difference"][k]}`);
      paint(panes[k].canvas, heat(values, high, width, height));
    }
    paintPatch(panes[3], maps, layers.findIndex(({ first, count }) => view.channel < first + count));
  }

  const peak = (values) => values.reduce((a, b) => Math.max(a, b), 0);

  function heat(values, high, width, height) {
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = HEAT[heatIndex(values[i], high)];
    return image;
  }

  // The part of the original picture that the strongest response sees.
  function paintPatch(pane, { original, width, height }, layer) {
    const source = model.pixels.reference;
    const strongest = peak(original);
    pane.root.hidden = !source || !strongest;
    if (pane.root.hidden) return;
    const at = original.indexOf(strongest);
    const side = Math.min(RECEPTIVE[model.meta.backbone]?.[layer] ?? 64, source.width, source.height);
    const from = (place, cells, size) =>
      Math.min(size - side, Math.max(0, Math.round(((place + 0.5) / cells) * size - side / 2)));
    const [left, top] = [from(at % width, width, source.width), from(Math.floor(at / width), height, source.height)];
    const image = new ImageData(side, side);
    for (let y = 0; y < side; y++) {
      const start = 4 * ((top + y) * source.width + left);
      image.data.set(source.data.subarray(start, start + 4 * side), 4 * side * y);
    }
    pane.canvas.setAttribute("aria-label", "The patch of the original to which this channel responds most");
    pane.top.textContent = `${side} px`;
    paint(pane.canvas, image);
  }

  function sentence({ original, attacked }) {
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const [before, after] = [mean(original), mean(attacked)];
    if (before < 1e-4 && after < 1e-4) return "It answers to neither picture.";
    if (before < 1e-4) return "The attack makes it answer.";
    const ratio = after / before;
    if (ratio > 1.15) return `The attack makes it answer ${ratio.toFixed(1)} times as much.`;
    if (ratio < 0.87) return `The attack leaves ${ratio.toFixed(2)} of its answer.`;
    return "On the mean it answers about as much as before, but elsewhere.";
  }

  return { show };
}
