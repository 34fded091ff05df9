// The light on what a scene speaks of: the rest of the page fades into the paper.

import { makeSvg } from "../viewer/dom.js";

const AROUND = 7;                     // px
const SIDES = { left: ".rv-column:nth-child(1)", right: ".rv-column:nth-child(2)" };
const OF_COLUMN = {
  column: "", attacked: '.rv-picture[data-kind="attacked"]', change: '.rv-picture[data-kind="perturbation"]',
  maps: '.rv-pictures > .rv-picture[data-kind="map"]', lpips: ".rv-reading:nth-of-type(1)",
  rlpips: ".rv-reading:nth-of-type(2)", eye: ".rv-eye", layers: ".rv-grid-of-layers",
};
const WHOLE = {
  bar: ".rv-bar", curves: ".rv-curves", numbers: ".rv-numbers", inside: ".rv-inside", sum: ".rv-part-sum",
  few: ".rv-part-few", channel: ".rv-part-channel",
};

// What a scene may name: "curves", or a part of a column, "left maps".
export const PARTS = [...Object.keys(WHOLE), ...Object.keys(SIDES).flatMap((side) =>
  Object.keys(OF_COLUMN).map((part) => `${side} ${part}`))];

function nodesOf(part) {
  const [side, name] = part.split(" ");
  const selector = name ? `#viewer ${SIDES[side]} ${OF_COLUMN[name]}` : `#viewer ${WHOLE[part]}`;
  return [...document.querySelectorAll(selector)].filter((node) => node.getClientRects().length);
}

// The rectangle around all nodes of a part; null if none is in sight.
function around(part) {
  const rects = nodesOf(part).map((node) => node.getBoundingClientRect());
  if (!rects.length) return null;
  const [left, top] = ["left", "top"].map((side) => Math.min(...rects.map((rect) => rect[side])) - AROUND);
  const [right, bottom] = ["right", "bottom"].map((side) => Math.max(...rects.map((rect) => rect[side])) + AROUND);
  return { left, top, right, bottom };
}

export function newLight() {
  const holes = makeSvg("g", {});
  const rings = makeSvg("g", { class: "story-rings" });
  const all = { width: "100%", height: "100%" };
  const mask = makeSvg("mask", { id: "story-mask" }, makeSvg("rect", { ...all, fill: "#fff" }), holes);
  const veil = makeSvg("svg", { class: "story-veil", "aria-hidden": "true" }, mask,
    makeSvg("rect", { ...all, mask: "url(#story-mask)" }), rings);
  let parts = [], last = "";

  const rects = () => parts.map(around).filter(Boolean);

  // Again and again, as the page moves below it.
  function draw() {
    const now = rects();
    const key = JSON.stringify([parts, now]);
    if (key === last) return;
    last = key;
    const rect = ({ left, top, right, bottom }, more) => makeSvg("rect",
      { x: left, y: top, width: right - left, height: bottom - top, rx: 9, ...more });
    holes.replaceChildren(...now.map((each) => rect(each, { fill: "#000" })));
    rings.replaceChildren(...now.map((each) => rect(each, {})));
    veil.classList.toggle("story-off", !now.length);
  }

  // Scroll so that the light lies in the `height` pixels that nothing covers; what is too tall begins at their top. On
  // a phone columns are side by side, to be swiped: the last one that is lit.
  function aim(height) {
    const column = nodesOf(parts.at(-1) ?? "bar")[0]?.closest(".rv-column");
    if (column?.getBoundingClientRect().left < 0 || column?.getBoundingClientRect().right > innerWidth)
      column.scrollIntoView({ block: "nearest", inline: "start", behavior: "instant" });
    const now = rects();
    if (!now.length) return;
    const top = Math.min(...now.map((rect) => rect.top)), bottom = Math.max(...now.map((rect) => rect.bottom));
    const to = Math.max(8, (height - (bottom - top)) / 2);
    if (top >= 0 && bottom <= height) return;
    scrollBy(0, top - to);
    draw();
  }

  return { node: veil, draw, aim, on(next) { parts = next; draw(); } };
}
