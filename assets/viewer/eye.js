// What a model of the eye says about a lane's last picture: its map, and a sentence. It was asked about the end of a
// run alone, so nothing here follows the scrubber.

import { paint } from "./canvas.js";
import { make } from "./dom.js";
import { eyeMaps } from "./eye_maps.js";
import { sentence } from "./eye_text.js";
import { HEAT_CSS } from "./heat.js";
import { laneName } from "./names.js";
import { newPicture } from "./picture.js";
import { shortNumber } from "./text.js";
import { hasVerdicts } from "./verdicts.js";

const WAITING = "A model of the eye (FLIP) is asked last, when all else is there.";
const NOT_ASKED = "A model of the eye (FLIP) was not asked about this recording.";

export function newEye(root, model) {
  const picture = newPicture(root, "map");
  const eye = { picture, root: make("section", { className: "rv-eye" }), text: make("p"), scale: make("span"),
    bar: make("span", { className: "rv-heat" }) };
  eye.bar.style.background = HEAT_CSS;
  picture.caption.append(make("span", { className: "rv-scale-bar" }, "0", eye.bar, eye.scale));
  eye.root.append(picture.figure, eye.text);
  eye.root.hidden = hasVerdicts(model);
  return eye;
}

export function showEye(eye, model, lane) {
  const said = model.eye;
  const waits = !said && ["running", "done", "stopped"].includes(model.state);
  const seen = Boolean(said?.maps);
  eye.root.classList.toggle("rv-unseen", !seen && !waits);
  eye.picture.figure.style.visibility = seen ? "" : "hidden";
  const text = seen ? sentence(model, lane) : waits ? WAITING : said?.missing ?? NOT_ASKED;
  if (eye.text.textContent !== text) eye.text.textContent = text;
  if (!seen) return;
  const top = Math.max(...said.map_peak);
  eye.scale.textContent = shortNumber(top);
  const label = `${laneName(model, lane)}: where a model of the eye (FLIP) sees a difference in the end`;
  eye.picture.canvas.setAttribute("aria-label", label);
  eyeMaps(model).then((all) => { if (model.eye === said) paint(eye.picture.canvas, all[lane]); }, () => {});
}
