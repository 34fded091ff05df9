// Numbers as text: how they are written, the table of all lanes, the receipt, and the files to take away.

// Three figures where it matters, and never a jumping width.
function number(value, most = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  return value.toFixed(size >= 0.01 ? 3 : Math.min(4, most));
}

// For scales: as few characters as will do.
const shortNumber = (value) =>
  value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2)
    : value > 0 ? value.toPrecision(1) : "0";

// No difference at all is an infinite ratio, which JSON cannot say and comes as null.
const decibels = (value) => (value === null ? "∞" : `${number(value)} dB`);

const in255 = (value) => (value === null ? "–" : String(Number((value * 255).toFixed(2))));

const factor = (ratio) => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1));

function timesGrown(before, now) {
  if (!before || !now) return "–";
  return now >= before ? `× ${factor(now / before)}` : `÷ ${factor(before / now)}`;
}

// One row: [its label, cell text per lane].
function metricRows(model, view, m) {
  const metric = model.meta.metrics[m];
  const at = (step) => (lane) => reading(model, "distance", step, lane, m);
  const [before, now] = [at(0), at(view.step)];
  const eightBit = (lane) => {
    const frame = frameAt(model, lane, view.step);
    return frame ? frame.distance_8bit[frame.lanes.indexOf(lane)]?.[m] : null;
  };
  const words = (lane) => rulerWords(model, view.ruler, metric, now(lane)).short;
  const exact = ["in 8 bits", (k) => number(eightBit(k))];
  if (isPair(model)) return [["distance", (k) => number(now(k))], exact, ["as far as", words]];
  if (isFooling(model)) return [["at step 0", (k) => number(before(k))], ["now", (k) => number(now(k))], exact,
    ["√ now, as bounds", (k) => number(now(k) === null ? null : Math.sqrt(now(k)))], ["as far as", words]];
  return [
    ["at step 0", (k) => number(before(k))],
    ["now", (k) => number(now(k))],
    exact,
    [model.meta.objective === "toward" ? "change" : "grown", (k) => timesGrown(before(k), now(k))],
    ["as far as", words],
  ];
}

function sizeRows(model, view) {
  const float = (key, k) => reading(model, key, view.step, k);
  const eightBit = (key, k) => {
    const frame = frameAt(model, k, view.step);
    return frame ? frame[key]?.[frame.lanes.indexOf(k)] ?? null : null;
  };
  return [
    ...(isFooling(model) ? verdictRows(model, view) : []),
    ["l∞", "float · 8 bits", (k) => `${in255(float("linf", k))} · ${in255(eightBit("linf_8bit", k))} /255`],
    ["l2", "float · 8 bits", (k) => `${number(float("l2", k))} · ${number(eightBit("l2_8bit", k))}`],
    ["PSNR", "8 bits", (k) => decibels(eightBit("psnr", k))],
    ["SSIM", "8 bits", (k) => number(eightBit("ssim", k))],
  ];
}

// Builds the table once per run and returns the function that writes the cells of a step.
function newTable(root, model, view) {
  const table = root.querySelector(".rv-table table");
  const lanes = model.meta.lanes.map((_, k) => k);
  const heading = (text, properties = {}) => make("th", { textContent: text, ...properties });
  const head = make("tr", {}, make("td", { colSpan: 2 }), ...lanes.map((k) => {
    const cell = heading(laneShortName(model, k), { scope: "col", className: "rv-ink" });
    cell.style.setProperty("--raw", model.meta.colors[model.meta.lanes[k]] || "var(--muted)");
    return cell;
  }));
  const cells = [];
  const row = (label, first) => {
    const made = lanes.map(() => make("td"));
    cells.push(made);
    return make("tr", {}, ...first, heading(label, { scope: "row" }), ...made);
  };
  const body = model.meta.metrics.map((_, m) => {
    const labels = metricRows(model, view, m).map(([label]) => label);
    const spans = { scope: "rowgroup", rowSpan: labels.length, className: "rv-ink" };
    const name = heading(metricTitle(model, m), spans);
    name.style.setProperty("--raw", metricColor(model, model.meta.metrics[m]));
    return make("tbody", {}, ...labels.map((label, i) => row(label, i ? [] : [name])));
  });
  const sizes = sizeRows(model, view)
    .map(([name, label]) => row(label, [heading(name, { scope: "rowgroup" })]));
  table.replaceChildren(make("thead", {}, head), ...body, make("tbody", {}, ...sizes));

  return function write() {
    const written = [...model.meta.metrics.flatMap((_, m) => metricRows(model, view, m).map((r) => r[1])),
      ...sizeRows(model, view).map((r) => r[2])];
    written.forEach((text, i) => lanes.forEach((k) => { cells[i][k].textContent = text(k); }));
  };
}

function writeReceipt(root, model) {
  const receipt = Object.entries(model.meta.receipt || {});
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  root.querySelector(".rv-receipt").hidden = !receipt.length;
  root.querySelector(".rv-receipt dl").replaceChildren(...receipt.flatMap(([key, value]) =>
    [make("dt", { textContent: key.replaceAll("_", " ") }), make("dd", { textContent: text(value) })]));
}

// Every lane's picture and perturbation as they are shown, as PNG, which loses nothing; and the trace itself.
function writeDownloads(root, model, view) {
  const list = root.querySelector(".rv-downloads ul");
  const items = model.meta.lanes.flatMap((_, lane) => ["picture", "perturbation"].map((kind) => {
    const what = kind === "picture" ? "picture" : isPair(model) ? "difference" : "perturbation";
    const button = make("button", { type: "button", textContent: `${laneName(model, lane)}: ${what}, PNG` });
    button.onclick = () => savePicture(model, view, lane, kind);
    return make("li", {}, button);
  }));
  const trace = model.files?.trace;
  if (trace) {
    const name = trace.orig_name || trace.path.split("/").pop();
    const link = make("a", { href: trace.url, download: name, textContent: `The whole trace, ${name}` });
    items.push(make("li", {}, link));
  }
  list.replaceChildren(...items);
}

function savePicture(model, view, lane, kind) {
  const frame = frameAt(model, lane, view.step, true);
  if (!frame) return;
  const attacked = attackedImage(model, frame, lane);
  const image = kind === "picture" ? attacked : perturbationImage(model, attacked, view.factor);
  const canvas = make("canvas", { width: image.width, height: image.height });
  canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  const parts = [model.meta.name, model.meta.lanes[lane]];
  if (!isPair(model)) parts.push(`step${frame.step}`);
  if (kind !== "picture") parts.push(`perturbation-x${view.factor}`);
  canvas.toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: `${parts.join("-").replace(/[^\w.-]+/g, "-")}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }, "image/png");
}
