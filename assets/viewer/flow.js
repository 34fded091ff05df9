// Where an attack moved pixels: the flow as colours, hue for the direction and strength for the distance, and arrows on
// top. An arrow points from where a colour was to where it is now, so against the flow, which says where to look it up.

import { make } from "./dom.js";

const SIDE = 640;                     // px, the longer side of the drawing; it is shown smaller
const APART = 30;                     // px between arrows, about
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
  const known = (frame.decoded.moved ??= {});
  return (known[lane] ??= measure(moves(frame, lane)));
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

// White for no move, full colour for `eps` pixels. Clockwise from the right, like the wheel beside it.
function color([right, down], eps) {
  const share = Math.min(1, Math.hypot(right, down) / eps);
  const hue = (Math.atan2(down, right) / (2 * Math.PI) + 1) % 1;
  const channel = (n) => {              // of hsl(hue 85% 50%)
    const k = (n + 12 * hue) % 12;
    return 0.5 - 0.425 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  };
  return [0, 8, 4].map((n) => Math.round(255 * (1 - share + share * channel(n))));
}

// The drawing of a lane as ImageData.
export function flowImage(model, frame, lane) {
  const flow = moves(frame, lane);
  const { width, height, eps } = model.meta;
  const scale = SIDE / Math.max(width, height);
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  drawColors(context, canvas, flow, eps);
  drawArrows(context, canvas, flow, eps);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// A pixel for each node, enlarged so that the outermost nodes lie on the edges.
function drawColors(context, canvas, { width, height, at }, eps) {
  const nodes = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) nodes.data.set([...color(at(i), eps), 255], 4 * i);
  const small = make("canvas", { width, height });
  small.getContext("2d").putImageData(nodes, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(small, 0.5, 0.5, width - 1, height - 1, 0, 0, canvas.width, canvas.height);
}

// An arrow at every few nodes: one of `eps` is as long as they are apart.
function drawArrows(context, canvas, { width, height, at }, eps) {
  const apart = [canvas.width / (width - 1), canvas.height / (height - 1)];
  const every = Math.max(1, Math.round(APART / Math.min(...apart)));
  const longest = 0.95 * every * Math.min(...apart);
  const path = new Path2D();
  const begin = (nodes) => Math.floor(((nodes - 1) % every) / 2);
  for (let row = begin(height); row < height; row += every)
    for (let column = begin(width); column < width; column += every)
      addArrow(path, column * apart[0], row * apart[1], at(row * width + column).map((v) => (v / eps) * longest));
  Object.assign(context, { lineCap: "round", lineJoin: "round" });
  for (const [style, thick] of [["#ffffffc0", 4], ["#101018", 1.7]]) {
    Object.assign(context, { strokeStyle: style, lineWidth: thick });
    context.stroke(path);
  }
}

// Centred on (x, y); a node that stays where it is gets a dot.
function addArrow(path, x, y, [right, down]) {
  const [endX, endY] = [x + right / 2, y + down / 2];
  path.moveTo(x - right / 2, y - down / 2);
  path.lineTo(endX, endY);
  const length = Math.hypot(right, down);
  if (length < 4) return;
  for (const side of [-1, 1]) {
    path.moveTo(endX, endY);
    path.lineTo(endX - 0.32 * right + side * 0.2 * down, endY - 0.32 * down - side * 0.2 * right);
  }
}

// The key to the colours: which direction has which, and how far full colour is.
export function newWheel(model) {
  const wheel = make("span", { className: "rv-wheel" });
  wheel.style.background = `radial-gradient(closest-side, #fff, #fff0), conic-gradient(from 90deg, ${HUES.join(", ")})`;
  return make("span", { className: "rv-scale-bar", title: "The colour says the direction; full colour is the budget" },
    wheel, `≤ ${model.meta.eps} px`);
}
