// The pixel probe: the line of numbers of the pixel under the pointer, and the mark on every picture.

import { startPixels } from "./decode.js";
import { make } from "./dom.js";
import { english } from "./language.js";
import { GRID } from "./layers.js";
import { valueAt } from "./maps.js";
import { isPair } from "./model.js";
import { laneColor, laneShortName } from "./names.js";
import { shortNumber } from "./text.js";

const HINT = matchMedia("(hover: none)").matches
  ? "Hold a finger on a picture to read its pixels. Two fingers zoom, a double tap resets."
  : "Point at a picture to read its pixels. Scroll or + − to zoom, drag to pan, double click to reset.";

export function newProbe(root, model, view, columns) {
  const line = root.querySelector(".rv-probe");
  let place = null;

  function hide() {
    place = null;
    root.classList.remove("rv-probing");
    if (english(line) !== (model.trouble || HINT)) line.textContent = model.trouble || HINT;
  }

  function at(u, v) {
    place = [u, v];
    const source = model.pixels.reference;
    if (!source) return;
    const { zoom } = view;
    const clamp = (t, size) => Math.min(size - 1, Math.max(0, Math.floor(t * size)));
    const x = clamp((u - zoom.x) / zoom.scale, source.width);
    const y = clamp((v - zoom.y) / zoom.scale, source.height);
    mark(x, y, source);
    write(x, y);
  }

  // The mark covers the pixel where that is large enough to be seen, and is a small square around it otherwise.
  function mark(x, y, source) {
    const { zoom } = view;
    for (const picture of columns().flatMap((column) => column.framed())) {
      const { clientWidth: w, clientHeight: h } = picture.frame;
      if (!w) continue;               // the layers or the pictures, whichever are not on show
      const size = Math.max(9, (zoom.scale * w) / source.width);
      const left = (zoom.x + (zoom.scale * (x + 0.5)) / source.width) * w - size / 2;
      const top = (zoom.y + (zoom.scale * (y + 0.5)) / source.height) * h - size / 2;
      const mark = picture.frame.querySelector(".rv-mark");
      mark.style.transform = `translate(${left}px, ${top}px)`;
      mark.style.width = mark.style.height = `${size}px`;
    }
    root.classList.add("rv-probing");
  }

  function rgb(image, x, y) {
    const at = 4 * (y * image.width + x);
    return Array.from(image.data.subarray(at, at + 3));
  }

  const padded = (values) => values.map((v) => String(v).padStart(3, "\u2007")).join(" ");
  const signed = (v) => (v > 0 ? "+" : v < 0 ? "−" : "±") + Math.abs(v);

  function write(x, y) {
    const original = rgb(startPixels(model) || model.pixels.reference, x, y);
    const parts = [make("span", { textContent: `x ${x} y ${y}` }),
      make("span", { textContent: `${isPair(model) ? "first" : "original"} ${padded(original)}` })];
    for (const column of columns()) if (column.attacked) parts.push(columnPart(column, x, y, original));
    line.replaceChildren(...parts);
  }

  function columnPart(column, x, y, original) {
    const lane = view.lanes[column.index];
    const attacked = rgb(column.attacked, x, y);
    const change = attacked.map((v, i) => signed(v - original[i]).padStart(3, "\u2007")).join(" ");
    const [u, v] = [(x + 0.5) / model.meta.width, (y + 0.5) / model.meta.height];
    const seen = (picture) => (picture.values ? shortNumber(valueAt(picture.values, u, v)) : "–");
    const shown = view.layer === GRID ? [] : column.main.filter((picture) => picture.metric !== undefined);
    const maps = shown.length ? `  maps ${shown.map(seen).join(" · ")}` : "";
    const part = make("span", { className: "rv-ink" },
      make("em", { textContent: laneShortName(model, lane) }),
      ` ${padded(attacked)}  Δ ${change}${maps}`);
    part.style.setProperty("--raw", laneColor(model, lane));
    return part;
  }

  const again = () => (place ? at(...place) : hide());

  return { at, hide, again };
}
