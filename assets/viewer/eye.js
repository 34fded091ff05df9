// What a model of the eye says about a lane's last picture: its map, and a sentence. It was asked about the end of a
// run alone, so nothing here follows the scrubber.

import { paint } from "./canvas.js";
import { make } from "./dom.js";
import { eyeMaps } from "./eye_maps.js";
import { sentence } from "./eye_text.js";
import { HEAT_CSS } from "./heat.js";
import { english } from "./language.js";
import { laneName } from "./names.js";
import { newPicture } from "./picture.js";
import { shortNumber } from "./text.js";

const WAITING = "A model of the eye (FLIP) is asked last, when all else is there.";
const NOT_ASKED = "A model of the eye (FLIP) was not asked about this recording.";

export function newEye(root) {
  const picture = newPicture(root, "map");
  picture.canvas.ariaLabel = "A model of the eye, before it was asked";
  const [text, top, bar] = [make("p"), make("span"), make("span", { className: "rv-heat" })];
  bar.style.background = HEAT_CSS;
  const scale = make("span", { className: "rv-scale-bar" }, "0", bar, top);
  const side = make("div", { className: "rv-eye-text" }, text, scale);
  return { picture, text, scale, top, root: make("section", { className: "rv-eye" }, picture.figure, side) };
}

export function showEye(eye, model, lane) {
  const said = model.eye;
  const waits = !said && ["running", "done", "stopped"].includes(model.state);
  const seen = Boolean(said?.maps);
  eye.root.classList.toggle("rv-unseen", !seen && !waits);
  for (const part of [eye.picture.figure, eye.scale]) part.style.visibility = seen ? "" : "hidden";
  const text = seen ? sentence(model, lane) : waits ? WAITING : said?.missing ?? NOT_ASKED;
  if (english(eye.text) !== text) eye.text.textContent = text;
  if (!seen) return;
  const top = Math.max(...said.map_peak);
  eye.top.textContent = shortNumber(top);
  eye.picture.figure.title = `FLIP of every pixel, from 0 to ${shortNumber(top)}`;
  const label = `${laneName(model, lane)}: where a model of the eye (FLIP) sees a difference in the end`;
  eye.picture.canvas.setAttribute("aria-label", label);
  eyeMaps(model).then((all) => { if (model.eye === said) paint(eye.picture.canvas, all[lane]); }, () => {});
}
