// The score of a visitor's metric: right choices under attack against agreement with LPIPS, beside the known metrics.

import { make, makeSvg } from "./dom.js";
import { YOURS } from "./names.js";

const SIZE = { width: 300, height: 200 };    // px
const INSET = { left: 34, right: 10, top: 8, bottom: 30 };
const RANGE = { x: [0.7, 1.01], y: [0.3, 1] };

// `scores` are the known points: [{title, color, agreement, attacked}], each figure {value, low, high}.
export function drawScores(svg, scores, mine) {
  const place = (value, [low, high], from, to) =>
    from + ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (to - from);
  const x = (value) => place(value, RANGE.x, INSET.left, SIZE.width - INSET.right);
  const y = (value) => place(value, RANGE.y, SIZE.height - INSET.bottom, INSET.top);
  const text = (left, top, anchor, label) =>
    makeSvg("text", { x: left.toFixed(1), y: top.toFixed(1), "text-anchor": anchor }, label);
  const right = SIZE.width - INSET.right;
  const grid = [0.4, 0.6, 0.8, 1].map((value) => `M${INSET.left} ${y(value).toFixed(1)}H${right}`).join("");
  svg.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
  svg.replaceChildren(makeSvg("path", { class: "rv-grid-line", d: grid }),
    ...[0.4, 0.6, 0.8, 1].map((value) => text(INSET.left - 4, y(value) + 4, "end", value.toFixed(1))),
    ...[0.7, 0.8, 0.9, 1].map((value) => text(x(value), SIZE.height - 17, "middle", value.toFixed(1))),
    text((INSET.left + SIZE.width - INSET.right) / 2, SIZE.height - 3, "middle", "agreement with LPIPS →"),
    ...points(scores, mine).flatMap((score) => point(score, x, y, text)));
  spread(svg);
  svg.ariaHidden = String(!scores.length && !mine.length);
  svg.setAttribute("aria-label", [...scores, ...mine].map(({ title, agreement, attacked }) =>
    `${title || YOURS.title}: agreement ${agreement.value}, right under attack ${attacked.value}`).join("; "));
}

// The known ones, and then one's own, of which the last one has a name.
const points = (scores, mine) => [...scores, ...mine.map((score, k) =>
  ({ ...YOURS, ...score, title: k === mine.length - 1 ? YOURS.title : "", own: true }))];

const LINE = 12;                      // px between two names

function point({ title, color, agreement, attacked, own }, x, y, text) {
  const [left, top] = [x(agreement.value), y(attacked.value)];
  const bar = makeSvg("path", { class: "rv-score-bar rv-ink",
    d: `M${left.toFixed(1)} ${y(attacked.low).toFixed(1)}V${y(attacked.high).toFixed(1)}` });
  const dot = own
    ? makeSvg("path", { class: "rv-score-dot rv-ink", d: `M${left.toFixed(1)} ${(top - 6).toFixed(1)}l6 6-6 6-6-6z` })
    : makeSvg("circle", { class: "rv-score-dot rv-ink", r: 4, cx: left.toFixed(1), cy: top.toFixed(1) });
  const atRight = left > SIZE.width - 90;
  const label = text(left + (atRight ? -9 : 9), top + 4, atRight ? "end" : "start", title);
  label.setAttribute("class", "rv-ink");
  for (const node of [bar, dot, label]) node.style.setProperty("--raw", color);
  return [bar, dot, label];
}

// Names that lie over each other are moved apart, downward.
function spread(svg) {
  const labels = [...svg.querySelectorAll("text.rv-ink")].filter((label) => label.textContent);
  const place = (label, name) => Number(label.getAttribute(name));
  const near = (a, b) => Math.abs(place(a, "x") - place(b, "x")) < 90 && Math.abs(place(a, "y") - place(b, "y")) < LINE;
  labels.sort((a, b) => place(a, "y") - place(b, "y"));
  for (const [k, label] of labels.entries()) {
    const above = labels.slice(0, k).filter((other) => near(other, label));
    if (above.length) label.setAttribute("y", Math.max(...above.map((other) => place(other, "y"))) + LINE);
  }
}

// A progress bar, or the figures, of a score that the server reports.
export function scoreText({ text, figures }) {
  if (!figures?.attacked) return text;
  const { agreement, attacked, judges = {} } = figures;
  const range = ({ value, low, high }) => `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const others = Object.entries(judges).map(([title, figure]) => ` with ${title} on ${range(figure)},`).join("");
  return `${text} Agrees with LPIPS on ${range(agreement)},${others} and chooses right under attack `
    + `${range(attacked)}.`;
}

// Whether the last score is further right and further up than a metric that was made for it.
export function challenge(scores, mine) {
  const known = scores.find(({ title }) => title === RIVAL);
  if (!known) return "";
  if (!mine) return `Can yours get further right and further up than ${RIVAL}?`;
  const [right, up] = ["agreement", "attacked"].map((key) => mine[key].value > known[key].value);
  const chance = up && mine.attacked.low <= known.attacked.value
    ? " Its bar reaches down to it: this may be chance." : "";
  return right && up ? `Yours is further right and further up than ${RIVAL}.${chance}`
    : right ? `Yours is further right than ${RIVAL}, but not further up.`
    : up ? `Yours is further up than ${RIVAL}, but not further right.${chance}`
    : `Yours is neither further right nor further up than ${RIVAL}.`;
}

const RIVAL = "R-LPIPS l∞";

export const progressBar = ([value, max]) => make("progress", { value, max, ariaLabel: "Scored so far" });
