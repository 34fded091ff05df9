// The score of "You be the judge": sums what each answer is worth, for as long as this browser tab lives.

import { make } from "./dom.js";

const KEY = "rlpips-judge";

function load() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? { rows: [] }; } catch { return { rows: [] }; }
}

const save = (score) => sessionStorage.setItem(KEY, JSON.stringify(score));

function add(score, { id, points }) {
  points.forEach((point, i) => {
    score.rows[i] ??= { right: 0, known: 0, agrees: 0, all: 0 };
    const row = score.rows[i];
    if (point.right !== null) { row.known += 1; row.right += point.right; }
    if (point.agrees !== null) { row.all += 1; row.agrees += point.agrees; }
  });
  score.last = id;
}

// `element`, `props` and `watch` come from Gradio.
export function mount({ element, props, watch }) {
  const root = element.querySelector(".jscore");

  function receive(message) {
    const score = load();
    if (message && message.id !== score.last) {           // the same answer counts once
      add(score, message);
      save(score);
    }
    show(score);
  }

  function show({ rows }) {
    root.querySelector("tbody").replaceChildren(...props.lines.map((each, i) => newLine({ ...each, ...rows[i] })));
  }

  root.querySelector("button").addEventListener("click", () => {
    save({ rows: [], last: load().last });
    show(load());
  });
  watch("value", () => receive(props.value));
  receive(props.value);
}

function newLine(row) {
  const line = make("tr", { className: "jscore-line" },
    make("th", { scope: "row", textContent: row.title }),
    make("td", { textContent: row.known ? `${row.right}/${row.known}` : "–" }),
    make("td", { textContent: row.all ? `${row.agrees}/${row.all}` : "–" }));
  line.style.setProperty("--raw", row.color ?? "currentColor");
  return line;
}
