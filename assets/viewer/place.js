// "A position": what the channels of each layer answer at one place of the picture, what the layer contributes there,
// and the channel that contributes most.

import { paint } from "./canvas.js";
import { make } from "./dom.js";
import { HEAT, heatIndex } from "./heat.js";
import { descending } from "./heads.js";
import { describe, layersOf, pairOn } from "./opened.js";
import { number } from "./text.js";

export function newPlace(panel, model, view, act) {
  const part = panel.querySelector(".rv-part-place");
  const [says, list, whole] =
    ["place-says", "place-layers", "unplace"].map((name) => part.querySelector(`.rv-${name}`));
  whole.onclick = () => act({ place: null });

  function show(differences, saved) {
    const { place, local } = view;
    whole.hidden = !place;
    list.hidden = !local;
    if (!place || !local) {
      says.textContent = !place ? "Click in a picture above, or press Enter on one, to see what is felt there."
        : differences === undefined ? "Being fetched…"
        : saved || model.meta.lanes[view.insideLane] === "noise" ? "There are no differences at single positions here."
        : "What is felt here is told when the run is over and saved.";
      return;
    }
    const layers = layersOf(model, view.trunk);
    const metrics = pairOn(model, view.trunk).map((m) => describe(model, m));
    const [x, y] = [place[0] * model.meta.width, place[1] * model.meta.height].map(Math.floor);
    says.textContent = `At x ${x}, y ${y}: every channel’s answer to the original, to the attacked picture, and the `
      + "squared difference; what each layer adds to the maps, and the channel that adds most.";
    const values = metrics.map(({ w }) => layers.map(({ first, count }) => {
      let total = 0;
      for (let c = first; c < first + count; c++) total += w[c] * local.squared[c];
      return total;
    }));
    const highest = Math.max(1e-12, ...values.flat());
    list.replaceChildren(...layers.map((layer, l) => make("li", {}, make("span", { textContent: layer.name }),
      make("span", {}, strip(layer), ...metrics.map((metric, k) => bar(metric, layer, values[k][l], highest))))));
  }

  // The vectors of a layer as three rows, a channel in each column.
  function strip({ name, first, count }) {
    const { original, attacked, squared } = view.local;
    const rows = [original, attacked, squared].map((vector) => vector.subarray(first, first + count));
    const tops = rows.map((row) => row.reduce((a, b) => Math.max(a, b), 0));
    tops[0] = tops[1] = Math.max(tops[0], tops[1]);
    const image = new ImageData(count, rows.length);
    const pixels = new Uint32Array(image.data.buffer);
    for (const [y, row] of rows.entries())
      for (let x = 0; x < count; x++) pixels[y * count + x] = HEAT[heatIndex(row[x], tops[y])];
    const canvas = make("canvas", { className: "rv-vectors", role: "img",
      ariaLabel: `${name}: the answers of its ${count} channels here, before and after, and the squared differences` });
    paint(canvas, image);
    return canvas;
  }

  function bar({ title, color, w }, { first, count }, value, highest) {
    const parts = Float64Array.from({ length: count }, (_, i) => w[first + i] * view.local.squared[first + i]);
    const heaviest = first + descending(parts)[0];
    const fill = make("i");
    fill.style.transform = `scaleX(${value / highest})`;
    const row = make("span", { className: "rv-ink rv-place-bar", title: `${title}: ${number(value)}` },
      make("u", {}, fill), make("b", { textContent: value > 0 ? String(heaviest - first) : "" }));
    row.style.setProperty("--raw", color);
    row.setAttribute("aria-label", `${title} ${number(value)}`);
    return row;
  }

  return { show };
}
