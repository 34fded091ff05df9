// One histogram per metric: how many pairs it finds as far as each JPEG quality, and how many of those are shown. A bar
// shows its pairs alone.

import { make } from "./dom.js";
import { entryOf } from "./pairs_model.js";

const words = (entry, ladder) =>
  entry < 0 ? "less than the mildest JPEG" : entry === ladder.length ? "beyond quality 1" : `quality ${ladder[entry]}`;

// `picked(name, entry)` is told which bar was pressed, with null when it is released.
export function drawHistograms(root, { rows, shown, metrics, ladder, bars, selected }, picked) {
  if (!ladder.length) return root.replaceChildren();
  root.replaceChildren(...metrics.map(({ name, title, color }) => {
    const [counts, seen] = [rows, shown].map((some) => {
      const counted = new Array(ladder.length + 2).fill(0);
      for (const row of some) counted[entryOf(row, name, ladder) + 1] += 1;
      return counted;
    });
    const most = Math.max(1, ...counts);
    const drawn = counts.map((count, index) => {
      const entry = index - 1, on = bars[name] === entry;
      const bar = make("i", {}, make("b"));
      bar.style.height = `${(100 * count) / most}%`;
      bar.firstChild.style.height = `${count ? (100 * seen[index]) / count : 0}%`;
      const part = seen[index] < count ? `, ${seen[index]} of them shown` : "";
      const label = `${title}: ${count} pairs as far as ${words(entry, ladder)}${part}`;
      const button = make("button", { type: "button", title: label, ariaLabel: label, disabled: !count && !on,
        onclick: () => picked(name, on ? null : entry) }, bar);
      button.ariaPressed = String(on);
      button.classList.toggle("pb-here", selected !== null && entryOf(selected, name, ladder) === entry);
      return button;
    });
    const ends = ["nearer", `JPEG quality ${ladder[0]} … ${ladder.at(-1)}`, "beyond"];
    const made = make("section", {},
      make("h2", { textContent: title }), make("div", { className: "pb-bars" }, ...drawn),
      make("div", { className: "pb-ends" }, ...ends.map((textContent) => make("span", { textContent }))));
    made.style.setProperty("--raw", color);
    return made;
  }));
}
