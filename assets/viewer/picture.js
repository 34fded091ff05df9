// The kinds of picture of a column, each a frame with a canvas and a caption.

import { FACTORS } from "./amplification.js";
import { fromTemplate, make, options } from "./dom.js";
import { hasFlow, newWheel } from "./flow.js";
import { HEAT_CSS } from "./heat.js";
import { isPair } from "./model.js";
import { metricTitle } from "./names.js";

export function newPicture(root, kind) {
  const figure = fromTemplate(root, "picture");
  const frame = figure.querySelector(".rv-frame");
  const canvas = figure.querySelector("canvas");
  figure.dataset.kind = kind;
  frame.setAttribute("aria-label", `The ${kind} picture: + and − zoom, arrows move it or the step`);
  return { figure, frame, canvas, caption: figure.querySelector("figcaption") };
}

// The attacked picture over the original, with a handle that wipes between them.
export function newWipePicture(root, model, view, act) {
  const picture = newPicture(root, "attacked");
  const handle = make("div", { className: "rv-handle", tabIndex: 0, role: "slider" });
  handle.setAttribute("aria-label", "Wipe between the original and the attacked picture");
  handle.setAttribute("aria-valuemin", 0);
  handle.setAttribute("aria-valuemax", 100);
  picture.original = make("canvas", { role: "img", ariaLabel: `${model.meta.name}, the original` });
  picture.frame.prepend(picture.original);
  picture.frame.append(handle);
  picture.handle = handle;
  const left = model.meta.start
    ? make("select", { className: "rv-select rv-against", ariaLabel: "Wipe against" },
        ...options([["start", "before"], ["reference", "reference"]], view.against))
    : make("span", { textContent: isPair(model) ? "first" : "original" });
  left.onchange = () => act({ against: left.value });
  picture.state = make("span");
  picture.keyframe = make("span", { className: "rv-keyframe" });
  picture.caption.append(left, make("span", {}, picture.state, picture.keyframe));
  return picture;
}

export function newPerturbationPicture(root, model, view, act) {
  const picture = newPicture(root, "perturbation");
  const factor = make("select", { className: "rv-select rv-factor", ariaLabel: "Amplification factor" },
    ...options(FACTORS.map((f) => [f, `× ${f}`]), view.factor));
  factor.onchange = () => act({ factor: Number(factor.value) });
  picture.factor = factor;
  const name = isPair(model) ? "difference" : "perturbation";
  picture.caption.append(make("label", { className: "rv-field" }, name, factor));
  if (hasFlow(model)) addMoves(picture, model, view, act, factor);
  return picture;
}

// Where pixels are moved, a choice between the moves and what they change.
function addMoves(picture, model, view, act, factor) {
  const what = make("select", { className: "rv-select rv-moves", ariaLabel: "What this picture shows" },
    ...options([["moves", "moves"], ["change", "perturbation"]], view.moves ? "moves" : "change"));
  what.onchange = () => act({ moves: what.value === "moves" });
  const wheel = newWheel(model);
  picture.caption.replaceChildren(what, wheel, factor);
  picture.showMoves = (moves) => {
    what.value = moves ? "moves" : "change";
    wheel.hidden = !moves;
    factor.hidden = moves;
  };
}

// Where a metric sees a difference.
export function newMapPicture(root, model, metric) {
  const picture = newPicture(root, "map");
  picture.metric = metric;
  const bar = make("span", { className: "rv-heat" });
  bar.style.background = HEAT_CSS;
  for (const part of ["bottom", "top", "most", "ratio"]) picture[part] = make("span");
  picture.ratio.title = "The largest value of this map against the other metric's";
  const scale = make("span", { className: "rv-scale-bar" }, picture.bottom, bar, picture.top);
  picture.caption.append(
    make("span", { textContent: `seen by ${metricTitle(model, metric)}` }),
    make("span", { className: "rv-figures" }, scale, picture.most, picture.ratio));
  return picture;
}

// One layer's map of one metric in the grid of all layers, its figures beside it.
export function newLayerPicture(root, metric, layer) {
  const picture = newPicture(root, "layer");
  Object.assign(picture, { metric, layer });
  [picture.most, picture.ratio, picture.share] = ["b", "span", "span"].map((tag) => make(tag));
  picture.caption.append(picture.most, picture.ratio, picture.share);
  return picture;
}
