// Where the two metrics and one's own see a difference in the picture on show in the panel: the layer and the scale of
// the colours are those that the viewer's bar chooses.

import { paint } from "./canvas.js";
import { make, say } from "./dom.js";
import { ALL, GRID, paintOwn, valuesOf } from "./layers.js";
import { YOURS } from "./names.js";
import { describe, frameOf, pairOn } from "./opened.js";
import { shortNumber } from "./text.js";

const nothing = new ImageData(1, 1);

export function newYoursMaps(part, model, view, own, cache) {
  const host = part.querySelector(".rv-yours-maps"), says = part.querySelector(".rv-yours-maps-say");
  let pictures = [];

  function build() {
    pictures = [...pairOn(model, view.trunk).map((m) => ({ metric: m, ...describe(model, m) })), { ...YOURS }]
      .map(({ metric = null, title, color }) => {
        const canvas = make("canvas", { role: "img", ariaLabel: `Where ${title} sees a difference, all layers` });
        const picture = { metric, title, canvas, most: make("span") };
        const name = make("span", { className: "rv-ink", textContent: title });
        name.style.setProperty("--raw", color);
        picture.figure = make("figure", {}, picture.canvas, make("figcaption", {}, name, picture.most));
        return picture;
      });
    host.replaceChildren(...pictures.map(({ figure }) => figure));
  }

  function show(lane) {
    const frame = frameOf(model, lane, view.step);
    if (!frame) return;
    const layer = view.layer === GRID ? ALL : view.layer;
    const where = layer === ALL ? "all layers" : model.meta.layers[layer];
    for (const picture of pictures) {
      const values = picture.metric === null ? own.values(frame, lane, layer === ALL ? null : layer)
        : valuesOf(model, frame, lane, picture.metric, layer, cache);
      say(picture.most, values ? `max ${shortNumber(values.top)}` : "–");
      picture.canvas.ariaLabel = `Where ${picture.title} sees a difference, ${where}`;
      if (values) paintOwn(picture, model, view, values);
      else { picture.values = null; paint(picture.canvas, nothing); }
    }
    const missing = pictures.at(-1).values ? "" : own.reason(frame, lane);
    say(says, missing || `Where each sees a difference: ${where}, in the picture chosen at the top of the panel.`);
  }

  return { build, show };
}
