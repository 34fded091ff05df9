// A column: one lane's pictures and readings. It is built once per run and then only painted and written
// into.

const FACTORS = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64];

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function fromTemplate(root, name) {
  return root.querySelector(`.rv-${name}-template`).content.firstElementChild.cloneNode(true);
}

const options = (pairs, chosen) =>
  pairs.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen)));

const metricTitle = (model, m) => model.meta.titles[model.meta.metrics[m]] || model.meta.metrics[m];

const metricColor = (model, name) => model.meta.colors[name] || "#777777";

function newPicture(root, kind) {
  const figure = fromTemplate(root, "picture");
  const frame = figure.querySelector(".rv-frame");
  const canvas = figure.querySelector("canvas");
  figure.dataset.kind = kind;
  frame.setAttribute("aria-label", `The ${kind} picture: + and − zoom, arrows move it or the step`);
  return { kind, figure, frame, canvas, caption: figure.querySelector("figcaption"), painted: null };
}

// Copies ImageData onto the canvas, unless it is there already.
function paint(canvas, image) {
  if (canvas.painted === image) return;
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  canvas.painted = image;
}

function newWipePicture(root, model, view, act) {
  const picture = newPicture(root, "attacked");
  const handle = make("div", { className: "rv-handle", tabIndex: 0, role: "slider" });
  handle.setAttribute("aria-label", "Wipe between the original and the attacked picture");
  handle.setAttribute("aria-valuemin", 0);
  handle.setAttribute("aria-valuemax", 100);
  picture.original = make("canvas", { role: "img", ariaLabel: `${model.meta.name}, the original` });
  picture.frame.prepend(picture.original);
  picture.frame.append(handle);
  picture.handle = handle;
  const pair = isPair(model);
  const left = model.meta.start
    ? make("select", { className: "rv-select rv-against", ariaLabel: "Wipe against" },
        ...options([["start", "before"], ["reference", "reference"]], view.against))
    : make("span", { textContent: pair ? "first" : "original" });
  left.onchange = () => act({ against: left.value });
  picture.state = make("span");
  picture.keyframe = make("span", { className: "rv-keyframe" });
  picture.caption.append(left, make("span", {}, picture.state, picture.keyframe));
  return picture;
}

function newPerturbationPicture(root, model, view, act) {
  const picture = newPicture(root, "perturbation");
  const factor = make("select", { className: "rv-select rv-factor", ariaLabel: "Amplification factor" },
    ...options(FACTORS.map((f) => [f, `× ${f}`]), view.factor));
  factor.onchange = () => act({ factor: Number(factor.value) });
  picture.factor = factor;
  const name = isPair(model) ? "difference" : "perturbation";
  picture.caption.append(make("label", { className: "rv-field" }, name, factor));
  return picture;
}

function newMapPicture(root, model, metric) {
  const picture = newPicture(root, "map");
  picture.metric = metric;
  const bar = make("span", { className: "rv-heat" });
  bar.style.background = HEAT_CSS;
  picture.top = make("span");
  const scale = make("span", { className: "rv-scale-bar" }, "0", bar, picture.top);
  picture.caption.append(make("span", { textContent: `seen by ${metricTitle(model, metric)}` }), scale);
  return picture;
}

function newReading(root, model, metric) {
  const reading = fromTemplate(root, "reading");
  reading.style.setProperty("--raw", metricColor(model, model.meta.metrics[metric]));
  reading.querySelector("h4").textContent = metricTitle(model, metric);
  const bars = reading.querySelector(".rv-bars");
  bars.setAttribute("aria-label", `Share of each layer in ${metricTitle(model, metric)}`);
  const layers = model.meta.layers.map((layer) => {
    const [bar, value] = [make("i"), make("b")];
    bars.append(make("li", {}, make("span", { textContent: layer }), make("u", {}, bar), value));
    return { bar, value };
  });
  const [distance, words] = [".rv-distance", ".rv-words"].map((name) => reading.querySelector(name));
  return { root: reading, distance, words, layers };
}

function newColumn(root, model, view, index, act) {
  const column = { index, root: fromTemplate(root, "column") };
  const metrics = model.meta.metrics.map((_, m) => m);
  const pictures = [
    newWipePicture(root, model, view, act),
    newPerturbationPicture(root, model, view, act),
    ...metrics.map((m) => newMapPicture(root, model, m)),
  ];
  column.pictures = pictures;
  column.readings = metrics.map((m) => newReading(root, model, m));
  column.root.querySelector(".rv-pictures").append(...pictures.map((p) => p.figure));
  column.verdict = isFooling(model) ? newVerdict(model) : null;
  column.root.querySelector(".rv-side").append(...[column.verdict, ...column.readings].filter(Boolean).map((r) => r.root));
  const lane = column.root.querySelector(".rv-lane");
  lane.append(...options(model.meta.lanes.map((_, k) => [k, laneName(model, k)]), view.lanes[index]));
  lane.disabled = model.meta.lanes.length < 2;
  lane.onchange = () => act({ lanes: view.lanes.map((k, i) => (i === index ? Number(lane.value) : k)) });
  return column;
}

// The common scale: one for all lanes, metrics and steps, so that colours can be compared across the page.
function mapScale(model, view, metric) {
  return view.scale === "own" ? model.mapPeak[metric] : Math.max(...model.mapPeak);
}

function showColumn(column, model, view, cache) {
  const lane = view.lanes[column.index];
  const name = model.meta.lanes[lane];
  column.root.style.setProperty("--raw", model.meta.colors[name] || "var(--muted)");
  paintColumn(column, model, view, lane, cache);
  column.readings.forEach((reading_, m) => writeReading(reading_, model, view, lane, m));
  if (column.verdict) writeVerdict(column.verdict, model, view, lane);
}

function paintColumn(column, model, view, lane, cache) {
  const frame = frameAt(model, lane, view.step, true);
  const [wipe, perturbation, ...maps] = column.pictures;
  const source = model.pixels[view.against];
  if (source) paint(wipe.original, source);
  perturbation.factor.value = view.factor;
  if (!frame || !startPixels(model)) return;
  column.frame = frame;
  const key = `${frame.decoded.id}.${lane}`;
  column.attacked = cache.get(`attacked ${key}`, () => attackedImage(model, frame, lane));
  paint(wipe.canvas, column.attacked);
  paint(perturbation.canvas, cache.get(`perturbation ${key} ${view.factor}`,
    () => perturbationImage(model, column.attacked, view.factor)));
  for (const map of maps) {
    const scale = mapScale(model, view, map.metric);
    map.top.textContent = shortNumber(scale);
    paint(map.canvas, cache.get(`map ${key} ${map.metric} ${scale}`,
      () => mapImage(model, frame, lane, map.metric, scale)));
  }
  describePictures(column, model, view, lane, frame);
}

function describePictures(column, model, view, lane, frame) {
  const [wipe, perturbation, ...maps] = column.pictures;
  const who = laneName(model, lane);
  const noise = model.meta.lanes[lane] === "noise";
  wipe.state.textContent = isPair(model) ? "second" : noise ? "with noise" : "attacked";
  wipe.keyframe.textContent = isPair(model) || noise ? "" : `, step ${frame.step}`;
  const label = (picture, text) => picture.canvas.setAttribute("aria-label", text);
  const at = isPair(model) ? "" : ` after step ${frame.step}`;
  label(wipe, `${model.meta.name}: ${who}${at}, with a wipe against the original`);
  label(perturbation, `${who}: the change${at}, amplified ${view.factor} times around grey`);
  for (const map of maps)
    label(map, `${who}: where ${metricTitle(model, map.metric)} sees a difference${at}`);
}

function writeReading(target, model, view, lane, metric) {
  const distance = reading(model, "distance", view.step, lane, metric);
  target.distance.textContent = distance === null ? "–" : number(distance);
  target.words.textContent = rulerWords(model, view.ruler, model.meta.metrics[metric], distance).long;
  target.layers.forEach(({ bar, value }, layer) => {
    const share = reading(model, "per_layer", view.step, lane, metric, layer);
    bar.style.transform = `scaleX(${model.layerPeak[metric] ? (share || 0) / model.layerPeak[metric] : 0})`;
    value.textContent = share === null ? "–" : number(share, 3);
  });
}
