// The bar below the columns: step, scrubber, badges, and the choice of the ruler; and the texts that follow the step.

import { make, options } from "./dom.js";
import { duelText } from "./duel_text.js";
import { lecture } from "./lecture.js";
import { frameAt, isPair, lastStep } from "./model.js";
import { hasVerdicts } from "./verdicts.js";

const SCHEDULES = { cosine: "cosine steps", fixed: "fixed steps", apgd: "APGD" };
const ORIGINS = { running: "live, running", done: "live", stopped: "live, stopped" };

export function writeBar(root, model, view) {
  const find = (name) => root.querySelector(`.rv-${name}`);
  const { steps } = model.meta;
  const scrubber = find("scrubber");
  scrubber.value = view.step;
  scrubber.style.setProperty("--known", `${(100 * lastStep(model)) / Math.max(1, steps)}%`);
  scrubber.style.setProperty("--at", `${(100 * view.step) / Math.max(1, steps)}%`);
  scrubber.setAttribute("aria-valuetext", `step ${view.step} of ${steps}`);
  find("step").textContent = `step ${view.step} of ${steps}`;
  find("play").setAttribute("aria-label", view.playing ? "Pause" : "Play");
  find("play").classList.toggle("rv-playing", view.playing);
  const isMeasured = isPair(model) && model.state === "done";
  find("origin").textContent = isMeasured ? "measured" : ORIGINS[model.state] ?? model.state;
  find("device").textContent = [SCHEDULES[model.meta.schedule], model.meta.backbone, model.meta.device]
    .filter(Boolean).join(" · ");
  writeSays(find("says"), hasVerdicts(model) ? [lecture(model, view.step)] : duelText(model, view.step, view.ruler));
  writeNumbersTitle(root, model, view);
}

const said = new WeakMap();           // what a place says already

// The numbers of this step in sentences, each a node of its own.
function writeSays(place, sentences) {
  if (said.get(place) === String(sentences)) return;
  said.set(place, String(sentences));
  place.replaceChildren(...sentences.flatMap((textContent) => [make("span", { textContent }), " "]));
}

// Only keyframes have a picture of 8 bits: say so where the two differ.
function writeNumbersTitle(root, model, view) {
  const keyframe = frameAt(model, view.lanes[0], view.step)?.step ?? view.step;
  const title = root.querySelector(".rv-numbers h3");
  title.textContent = isPair(model) ? "Numbers" : `Numbers at step ${view.step}`;
  if (keyframe !== view.step) title.append(make("span", { textContent: ` 8 bits: ${keyframe}` }));
}

// The list of distortions to compare with. It may come in parts: the visitor's choice stands as soon as it is there.
export function writeRuler(root, model, view) {
  const select = root.querySelector(".rv-ruler");
  const offered = (model.ruler?.distortions || []).map((d) => [d.name, d.title]);
  select.parentElement.hidden = !offered.length;
  const listed = [...select.options].map((option) => option.value);
  if (!offered.length || String(listed) === String(offered.map(([name]) => name))) return;
  view.ruler = (offered.find(([name]) => name === view.wanted) ?? offered[0])[0];
  select.replaceChildren(...options(offered, view.ruler));
}
