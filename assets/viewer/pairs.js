// The bench of "Many pairs": what belongs together, then the measured rows as table, scatter and histograms, linked.
// Names come from visitors' files and are only ever set as text.

import { make } from "./dom.js";
import { drawHistograms } from "./pairs_histogram.js";
import { pairsTexts, pairsView } from "./pairs_address.js";
import { found, headline, isIn, rowsOf, verdictOf, verdictTitles } from "./pairs_model.js";
import { newScatter } from "./pairs_scatter.js";
import { newTable } from "./pairs_table.js";
import { register, takeWanted, tell } from "./view_address.js";

const FILES = [
  ["csv", "CSV"], ["json", "JSON"], ["html", "report (HTML)"], ["sheet", "contact sheet (PNG)"], ["latex", "LaTeX"],
];
const PAUSE = 250;                    // ms: whoever walks through the pairs does not open each

// `element`, `props`, `trigger` and `watch` come from Gradio, `address` from modules.py.
export function mount({ element, props, trigger, watch, address }) {
  const root = element.querySelector(".pb");
  const find = (name) => root.querySelector(`.pb-${name}`);
  const view = { on: new Set([0, 1, 2, 3]), hard: false, find: "", bars: {}, sort: null, box: null };
  let run = null, head = { metrics: [], ladder: [], threshold: 10 };
  let rows = [], around = [], shown = [], verdicts = [], threshold = 10, selected = null, taken = 0, opening = 0;

  let hasEye = false;                 // whether a model of the eye was asked
  const verdict = (row) => verdictOf(row, head.metrics, threshold);
  const table = newTable(find("scroll"), {
    head: () => ({ metrics: head.metrics, verdict, eye: hasEye }),
    sorted: (sort) => { view.sort = sort; refresh(); },
    chosen: choose,
  });
  const scatter = newScatter(find("scatter"), {
    data: () => ({
      rows: around, box: view.box, metrics: head.metrics, ladder: head.ladder, threshold, selected, verdict,
    }),
    dragged: setThreshold,
    chosen: choose,
    boxed: (box) => { view.box = box; refresh(); },
  });

  function receive(message) {
    if (!message) return;
    if (message.state === "changed") return setOld(true);
    if (message.state === "matched") return showMatch(message.match && JSON.parse(message.match));
    if (message.run !== run) begin(message);
    head = JSON.parse(message.head);
    root.dataset.state = message.state;
    rows.push(...rowsOf(message.pieces.slice(taken), address));      // a run's pieces only grow
    taken = message.pieces.length;
    if (!hasEye && rows.some((row) => row.eye !== null)) {
      hasEye = true;
      view.sort = table.setHead(view.sort);
    }
    showHead();
    refresh();
  }

  function begin(message) {
    const before = head;
    run = message.run;
    head = JSON.parse(message.head);
    if (!before.metrics.length) threshold = head.threshold;
    selected = null;
    rows = [];
    taken = 0;
    view.bars = {};
    view.box = null;
    hasEye = false;
    setOld(false);
    find("results").hidden = false;
    find("empty").hidden = true;
    find("list").open = false;
    const wanted = takeWanted("pairs");
    if (wanted) adopt(wanted);
    else view.sort = table.setHead(view.sort);
  }

  // What an address says of the view.
  function adopt(values) {
    const { threshold: wanted, sort, on, hard } = pairsView(values, head.threshold);
    threshold = wanted;
    Object.assign(view, { on, hard, sort: table.setHead(sort) });
    find("hard").checked = hard;
  }

  function setOld(old) {
    find("results").classList.toggle("pb-old", old);
    find("stale").hidden = !old;
  }

  function showMatch(match) {
    find("match").hidden = !match;
    find("list").open = true;
    if (!match) return;
    find("match").querySelector("h2").textContent = `${match.count} pairs belong together in ${match.files}.`;
    find("notes").replaceChildren(...match.notes.map((textContent) => make("li", { textContent })));
    const couples = match.pairs.map(([clean, attacked]) => `${clean} → ${attacked}`);
    const more = match.count - couples.length;
    const lines = more > 0 ? [...couples, `and ${more} more`] : couples;
    find("couples").replaceChildren(...lines.map((text) => make("li", { textContent: text, title: text })));
    showProblems(find("problems"), match.problems, "have no pair, or are no pictures");
  }

  function showHead() {
    const how = root.dataset.state === "recorded" ? "recorded" : "measured";
    find("of").textContent = `${head.files}: ${rows.length} of ${head.total} pairs, ${how} with ${head.measured}.`;
    showProblems(find("unread"), head.problems, "are not measured");
    const [first, second] = head.metrics;
    find("scatter").hidden = !second;
    find("scatter").querySelector("figcaption").textContent = second
      ? `Up: ${first.title} finds it further; right: ${second.title} does. Rings: easy to see. ` +
        "Drag the dashed lines, or a rectangle around some pairs."
      : "";
  }

  function refresh() {
    verdicts = rows.map(verdict);
    around = found(rows, verdicts, view, head.ladder);
    shown = view.box ? around.filter((row) => isIn(row, view.box, head.metrics)) : around;
    find("headline").textContent = headline(rows, verdicts, head.metrics);
    find("threshold").querySelector("output").textContent = threshold;
    find("threshold").querySelector("input").value = threshold;
    find("found").textContent = `${shown.length} of ${rows.length} pairs`;
    find("unbox").hidden = !view.box;
    tell("pairs", "view");
    drawChips();
    table.show(shown);
    drawCharts();
  }

  function drawCharts() {
    scatter.draw();
    const { metrics, ladder } = head;
    drawHistograms(find("histograms"), { rows, shown, metrics, ladder, bars: view.bars, selected }, (name, entry) => {
      if (entry === null) delete view.bars[name];
      else view.bars[name] = entry;
      refresh();
    });
  }

  function drawChips() {
    const counts = [0, 0, 0, 0];
    for (const each of verdicts) counts[each] += 1;
    const focused = [...find("chips").children].indexOf(document.activeElement);
    find("chips").replaceChildren(...verdictTitles(head.metrics).flatMap((title, place) => {
      if (title === null) return [];
      const on = view.on.has(place);
      const chip = make("button", { type: "button", title: "Show or hide these pairs",
        onclick: () => {
          if (on) view.on.delete(place);
          else view.on.add(place);
          refresh();
        } }, make("b", { textContent: counts[place] }), place === 2 ? "fool neither" : `fool ${title}`);
      chip.ariaPressed = String(on);
      chip.dataset.verdict = place;
      return [chip];
    }));
    find("chips").children[focused]?.focus();
  }

  function setThreshold(value) {
    if (value === threshold) return;
    threshold = value;
    refresh();
  }

  function choose(row) {
    if (!row) return;
    selected = row;
    root.dataset.chosen = row.place;
    table.select(row);
    drawCharts();
    clearTimeout(opening);
    opening = setTimeout(() => trigger("opened", { place: row.place }), PAUSE);
  }

  const unbox = () => { view.box = null; refresh(); };
  find("unbox").addEventListener("click", unbox);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && view.box) unbox();
    if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    choose(table.next(step));
    event.preventDefault();
  });
  const slider = find("threshold").querySelector("input");
  slider.addEventListener("input", () => setThreshold(Number(slider.value)));
  find("hard").addEventListener("change", (event) => { view.hard = event.target.checked; refresh(); });
  find("tools").querySelector("[type=search]").addEventListener("input", (event) => {
    view.find = event.target.value;
    refresh();
  });
  find("files").append(...FILES.map(([kind, textContent]) =>
    make("button", { type: "button", textContent, onclick: () => trigger("asked", { kind, threshold }) })));
  register("pairs", {
    open(values) {
      if (!head.metrics.length) return false;
      adopt(values);
      refresh();
      return true;
    },
    texts: () => (head.metrics.length ? pairsTexts({ threshold, usual: head.threshold, ...view }) : {}),
  });
  watch("value", () => receive(props.value));
  receive(props.value);
}

function showProblems(place, problems, what) {
  place.hidden = !problems.length;
  place.querySelector("summary").textContent = `${problems.length} ${what}`;
  place.querySelector("ul").replaceChildren(...problems.map(([name, reason]) =>
    make("li", {}, make("b", { textContent: name }), ` ${reason}`)));
}
