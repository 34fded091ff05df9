// The scatter: how far two metrics find a pair, on rulers of JPEG qualities. The threshold's lines can be dragged, and
// a mouse draws a rectangle around the pairs to choose.

import { said } from "./language.js";
import { isIn, placeOf, thresholdAt } from "./pairs_model.js";

const MARGIN = { left: 50, bottom: 40, top: 6, right: 6 }, REACH = 12, GRIP = 7, LEAST = 6;

// `data()` is { rows, box, metrics, ladder, threshold, selected, verdict(row) }. `boxed(box)` is told of a rectangle in
// places on the rulers, null for none.
export function newScatter(figure, { data, dragged, chosen, boxed }) {
  const canvas = figure.querySelector("canvas"), tip = figure.querySelector(".pb-tip");
  let scale = null, grip = null, corner = null;    // of a rectangle that is being drawn, in pixels

  function draw() {
    const side = canvas.clientWidth, { rows, box, metrics, ladder, threshold, selected, verdict } = data();
    const [first, second] = metrics;
    if (!side || !second || !ladder.length) return;
    const ratio = devicePixelRatio, style = getComputedStyle(canvas);
    canvas.width = canvas.height = Math.round(side * ratio);
    const ink = canvas.getContext("2d"), tone = (name) => style.getPropertyValue(name).trim();
    ink.scale(ratio, ratio);
    scale = scaleOf(side, ladder.length);
    const right = side - MARGIN.right, bottom = side - MARGIN.bottom;
    const line = placeOf(threshold, ladder), x = scale.x(line), y = scale.y(line);

    ink.fillStyle = tone("--tone-0");
    ink.globalAlpha = 0.08;           // the quadrant that the bench looks for
    ink.fillRect(MARGIN.left, MARGIN.top, x - MARGIN.left, y - MARGIN.top);
    ink.globalAlpha = 1;
    drawAxes(ink, { side, right, bottom, first, second, ladder, text: style.color, scale });
    ink.fillStyle = style.color;
    ink.font = "11px system-ui, sans-serif";
    const quadrants = [
      [`${first.title} only`, MARGIN.left + 5, MARGIN.top + 13, "left"], ["both", right - 5, MARGIN.top + 13, "right"],
      ["neither", MARGIN.left + 5, bottom - 6, "left"], [`${second.title} only`, right - 5, bottom - 6, "right"],
    ];
    ink.globalAlpha = 0.7;
    for (const [title, at, level, align] of quadrants) {
      ink.textAlign = align;
      ink.fillText(said(title), at, level);
    }
    ink.globalAlpha = 1;
    ink.setLineDash([5, 4]);
    ink.lineWidth = grip ? 2 : 1;
    ink.strokeStyle = style.color;
    strokeLine(ink, x, MARGIN.top, x, bottom);
    strokeLine(ink, MARGIN.left, y, right, y);
    ink.setLineDash([]);
    ink.lineWidth = 1;
    const tones = [0, 1, 2, 3].map((each) => tone(`--tone-${each}`));
    drawPoints(ink, rows, { first, second, verdict, scale, tones, isFaint: (row) => box && !isIn(row, box, metrics) });
    if (box) {
      const [left, wide] = [scale.x(box.x[0]), scale.x(box.x[1]) - scale.x(box.x[0])];
      const [low, tall] = [scale.y(box.y[1]), scale.y(box.y[0]) - scale.y(box.y[1])];
      ink.strokeStyle = style.color;
      ink.lineWidth = 1.5;
      ink.strokeRect(left, low, wide, tall);
    }
    if (selected) {
      ink.strokeStyle = style.color;
      ink.lineWidth = 2;
      ink.beginPath();
      ink.arc(scale.x(selected[`${second.name}_place`]), scale.y(selected[`${first.name}_place`]), 8, 0, 7);
      ink.stroke();
    }
    canvas.ariaLabel =
      `${rows.length} pairs: ${first.title} upwards, ${second.title} to the right; threshold JPEG quality ${threshold}`;
  }

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  function nearest([x, y]) {
    const { rows, metrics: [first, second] } = data();
    let best = null, least = REACH ** 2;
    for (const row of rows) {
      const far = (scale.x(row[`${second.name}_place`]) - x) ** 2 + (scale.y(row[`${first.name}_place`]) - y) ** 2;
      if (far < least) [best, least] = [row, far];
    }
    return best;
  }

  // Which line of the threshold is under the pointer: "x", "y" or null.
  function gripAt([x, y]) {
    const { threshold, ladder } = data(), line = placeOf(threshold, ladder);
    return Math.abs(scale.x(line) - x) < GRIP ? "x" : Math.abs(scale.y(line) - y) < GRIP ? "y" : null;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!scale || event.button) return;
    const place = at(event), isOnRow = nearest(place);
    grip = isOnRow ? null : gripAt(place);
    if (!grip && event.pointerType !== "touch") corner = place;     // a finger scrolls
    if (!grip && !corner) return;
    canvas.setPointerCapture(event.pointerId);
    if (!isOnRow) event.preventDefault();
    draw();
  });

  function boxTo([x, y]) {
    const order = (one, other) => (one < other ? [one, other] : [other, one]);
    const [fromX, fromY] = corner;
    return { x: order(scale.placeX(fromX), scale.placeX(x)), y: order(scale.placeY(fromY), scale.placeY(y)) };
  }

  const isDrawn = ([x, y]) => corner && Math.hypot(x - corner[0], y - corner[1]) >= LEAST;
  canvas.addEventListener("pointermove", (event) => {
    if (!scale) return;
    const place = at(event);
    if (grip) {
      dragged(thresholdAt(grip === "x" ? scale.placeX(place[0]) : scale.placeY(place[1]), data().ladder));
      return;
    }
    if (corner) {
      tip.hidden = true;
      if (isDrawn(place)) boxed(boxTo(place));
      return;
    }
    const row = nearest(place), line = row ? null : gripAt(place);
    canvas.style.cursor = row ? "pointer" : line === "x" ? "ew-resize" : line === "y" ? "ns-resize" : "";
    tip.hidden = !row;
    if (!row) return;
    tip.textContent = row.pair;
    tip.style.left = `${Math.min(place[0] + 12, canvas.clientWidth - 140)}px`;
    tip.style.top = `${place[1] + 12}px`;
  });
  const release = () => { grip = corner = null; draw(); };
  canvas.addEventListener("pointerup", (event) => {
    if (grip) return release();
    const place = at(event), wasDrawn = isDrawn(place);
    corner = null;
    if (!scale || wasDrawn) return;
    const row = nearest(place);
    if (row) chosen(row);
    else if (data().box) boxed(null);
  });
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  new ResizeObserver(draw).observe(canvas);
  document.addEventListener("page-language", draw);
  new MutationObserver(draw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return { draw };
}

function scaleOf(side, entries) {
  const low = -1.2, span = entries + 1.5;
  const wide = side - MARGIN.left - MARGIN.right, tall = side - MARGIN.top - MARGIN.bottom;
  return {
    x: (place) => MARGIN.left + ((place - low) / span) * wide,
    y: (place) => side - MARGIN.bottom - ((place - low) / span) * tall,
    placeX: (x) => low + ((x - MARGIN.left) / wide) * span,
    placeY: (y) => low + ((side - MARGIN.bottom - y) / tall) * span,
  };
}

function strokeLine(ink, ...[x, y, toX, toY]) {
  ink.beginPath();
  ink.moveTo(x, y);
  ink.lineTo(toX, toY);
  ink.stroke();
}

function drawAxes(ink, { side, right, bottom, first, second, ladder, text, scale }) {
  ink.fillStyle = ink.strokeStyle = text;
  ink.font = "11px system-ui, sans-serif";
  ink.lineWidth = 1;
  ink.globalAlpha = 0.35;
  ink.strokeRect(MARGIN.left + 0.5, MARGIN.top + 0.5, right - MARGIN.left - 1, bottom - MARGIN.top - 1);
  ink.globalAlpha = 0.8;
  const within = [3, 7, 11, 15].filter((place) => place < ladder.length).map((place) => [place, ladder[place]]);
  const ticks = [[-0.75, "nearer"], ...within, [ladder.length, "beyond"]];
  ticks.forEach(([place, label], index) => {
    const last = index === ticks.length - 1;
    ink.textAlign = last ? "right" : "center";
    ink.fillText(said(label), last ? right : scale.x(place), bottom + 14);
    ink.textAlign = "right";
    ink.fillText(said(label), MARGIN.left - 4, scale.y(place) + 4);
  });
  ink.globalAlpha = 1;
  ink.textAlign = "center";
  ink.fillText(said(`${second.title}: as far as JPEG quality`), (MARGIN.left + right) / 2, side - 6);
  ink.save();
  ink.translate(10, (MARGIN.top + bottom) / 2);
  ink.rotate(-Math.PI / 2);
  ink.fillText(said(`${first.title}: as far as JPEG quality`), 0, 0);
  ink.restore();
}

function drawPoints(ink, rows, { first, second, verdict, scale, tones, isFaint }) {
  const radius = rows.length > 3000 ? 1.6 : rows.length > 300 ? 2.4 : 4;
  const alpha = rows.length > 3000 ? 0.5 : 0.8;
  for (const row of rows) {
    ink.globalAlpha = isFaint(row) ? alpha / 4 : alpha;
    ink.fillStyle = ink.strokeStyle = tones[verdict(row)];
    ink.beginPath();
    ink.arc(scale.x(row[`${second.name}_place`]), scale.y(row[`${first.name}_place`]), radius, 0, 7);
    if (row.easy) ink.stroke();
    else ink.fill();
  }
  ink.globalAlpha = 1;
}
