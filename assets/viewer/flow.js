// Where an attack moved things: colours, hue for the direction, and arrows on top. They point from where a colour was
// to where it is now, so against the flow, which says where to look it up.

import { make } from "./dom.js";

const SIDE = 640;                     // px, the longer side of the drawing; it is shown smaller
const APART = 56;                     // px of a cell that has one arrow
const PLAIN = 20;                     // levels of 255: a change from which on a move has its full colour
const LEAST = 0.4;                    // of that: below it a move gets no arrow
const PALE = 0.55;                    // how dark black is in the grey picture
const HUES = Array.from({ length: 13 }, (_, i) => `hsl(${30 * i} 85% 50%)`);

export const hasFlow = (model) => model.meta.norm === "flow";

// How far lane `lane` moves things right and down at node i, in pixels: {width, height, at}.
function moves(frame, lane) {
  const [height, width] = frame.flow_size;
  const tile = height * width;
  const first = 2 * tile * frame.lanes.indexOf(lane);
  const value = (i) => (-frame.flow_peak * (frame.decoded.flow[i] - 128)) / 127;
  return { width, height, at: (i) => [value(first + i), value(first + tile + i)] };
}

// The largest and the mean displacement of a lane, in pixels; null where its frame is not decoded.
export function moveSizes(frame, lane) {
  if (!frame?.decoded?.flow) return null;
  const { measured } = frame.decoded;   // each lane once
  measured[lane] ??= measure(moves(frame, lane));
  return measured[lane];
}

function measure({ width, height, at }) {
  let [most, sum] = [0, 0];
  for (let i = 0; i < width * height; i++) {
    const size = Math.hypot(...at(i));
    most = Math.max(most, size);
    sum += size;
  }
  return { most, mean: sum / (width * height) };
}

// Full colour for a move of `eps` pixels. Clockwise from the right, like the wheel beside it.
function color([right, down]) {
  const hue = (Math.atan2(down, right) / (2 * Math.PI) + 1) % 1;
  const channel = (n) => {              // of hsl(hue 85% 50%)
    const k = (n + 12 * hue) % 12;
    return 255 * (0.5 - 0.425 * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

// The drawing of a lane as ImageData: the picture in pale grey, and the moves where they change it. In flat places a
// move changes nothing, and an attack moves them anyhow: shown in full, they would hide the others.
export function flowImage(model, frame, lane, attacked, start) {
  const flow = moves(frame, lane);
  const { width, height, eps } = model.meta;
  const scale = SIDE / Math.max(width, height);
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  const change = changes(attacked, start);
  const small = make("canvas", { width, height });
  small.getContext("2d").putImageData(coloredPicture(flow, start, change, eps), 0, 0);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  drawArrows(context, scale, flow, change, width, height, eps);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// Of every pixel the largest change of a colour, from 0 to 1 for `PLAIN` and more.
function changes(attacked, start) {
  const [to, from] = [attacked.data, start.data];
  return Float32Array.from({ length: to.length / 4 }, (_, i) => {
    const channel = (k) => Math.abs(to[4 * i + k] - from[4 * i + k]);
    return Math.min(1, Math.max(channel(0), channel(1), channel(2)) / PLAIN);
  });
}

function coloredPicture(flow, start, change, eps) {
  const { width, height } = start;
  const image = new ImageData(width, height);
  const colors = Array.from({ length: flow.width * flow.height }, (_, node) => {
    const move = flow.at(node);
    return [...color(move), Math.min(1, Math.hypot(...move) / eps)];
  });
  for (let i = 0; i < change.length; i++) {
    const [row, column] = [Math.floor(i / width), i % width];
    const node = Math.round((row * (flow.height - 1)) / (height - 1)) * flow.width
      + Math.round((column * (flow.width - 1)) / (width - 1));
    const grey = 0.3 * start.data[4 * i] + 0.59 * start.data[4 * i + 1] + 0.11 * start.data[4 * i + 2];
    const strength = change[i] * colors[node][3];
    const pale = 255 - PALE * (255 - grey);
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = pale + strength * (colors[node][k] - pale);
    image.data[4 * i + 3] = 255;
  }
  return image;
}

// One arrow in each cell of a coarse grid, at the node whose move changes most; none where that is little. An arrow of
// `eps` is as long as a cell is wide.
function drawArrows(context, scale, flow, change, width, height, eps) {
  const path = new Path2D();
  const best = new Map();
  for (let node = 0; node < flow.width * flow.height; node++) {
    const x = ((node % flow.width) * (width - 1)) / (flow.width - 1);
    const y = (Math.floor(node / flow.width) * (height - 1)) / (flow.height - 1);
    const strength = change[Math.round(y) * width + Math.round(x)];
    const cell = `${Math.floor((x * scale) / APART)} ${Math.floor((y * scale) / APART)}`;
    if (strength > LEAST && !(best.get(cell)?.strength >= strength)) best.set(cell, { x, y, strength, node });
  }
  for (const { x, y, node } of best.values())
    addArrow(path, (x + 0.5) * scale, (y + 0.5) * scale, flow.at(node).map((v) => (v / eps) * APART));
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  for (const [style, thick] of [["#ffffffd0", 7], ["#101018", 3]]) {
    Object.assign(context, { strokeStyle: style, lineWidth: thick });
    context.stroke(path);
  }
}

// Centred on (x, y).
function addArrow(path, x, y, [right, down]) {
  const [endX, endY] = [x + right / 2, y + down / 2];
  path.moveTo(x - right / 2, y - down / 2);
  path.lineTo(endX, endY);
  for (const side of [-1, 1]) {
    path.moveTo(endX, endY);
    path.lineTo(endX - 0.35 * right + side * 0.22 * down, endY - 0.35 * down - side * 0.22 * right);
  }
}

// The key to the colours: which direction has which, and how far full colour is.
export function newWheel(model) {
  const wheel = make("span", { className: "rv-wheel" });
  wheel.style.background = `radial-gradient(closest-side, #fff, #fff0), conic-gradient(from 90deg, ${HUES.join(", ")})`;
  return make("span", { className: "rv-scale-bar", title: "The colour says the direction; full colour is the budget" },
    wheel, `≤ ${model.meta.eps} px`);
}
