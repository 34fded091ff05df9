// The page in a narrow window, a phone's or one at 200 %: what Run was pressed for comes into view.

import { labelTables } from "./cards.js";
import { layFolds, mountFolds } from "./fold.js";
import { PHONE } from "./narrow.js";

const LOOK_MS = 300;                  // Gradio shows parts of the page late, and builds some anew

// Buttons, and where their results are.
const RESULTS = { run: "viewer", "fool-run": "fool-viewer", compare: "pair-viewer", "pair-example": "pair-viewer",
  "pairs-run": "pairs", "sweep-run": "sweep-2afc" };

export function mountPhone() {
  document.addEventListener("click", ({ target }) => {
    const place = document.getElementById(RESULTS[target.closest?.("button")?.id]);
    if (place && PHONE.matches && !isInSight(place)) place.scrollIntoView();
  });
  // What sticks above the bar of buttons has to know its height.
  const bars = () => [...document.querySelectorAll(".stays")];
  const tell = () => {
    if (!PHONE.matches) return;       // nothing sticks, and the browser would style the whole page anew
    const height = Math.max(0, ...bars().map((bar) => bar.offsetHeight));
    document.documentElement.style.setProperty("--run-bar", `${height}px`);
  };
  const sizes = new ResizeObserver(tell);
  PHONE.addEventListener("change", tell);
  mountFolds();
  (function look() {
    layFolds();
    for (const bar of bars()) sizes.observe(bar);
    if (PHONE.matches) labelTables();
    setTimeout(look, LOOK_MS);
  })();
}

function isInSight(place) {
  const { top } = place.getBoundingClientRect();
  return top >= 0 && top < innerHeight / 3;
}
