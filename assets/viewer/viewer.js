// The viewer: one state of the view, one function that changes it (act), and one that shows it (show), which runs at
// most once per frame of the screen.

import { fittingFactor } from "./amplification.js";
import { writeBar, writeRuler } from "./bar.js";
import { newCache } from "./cache.js";
import { newColumn, showColumn } from "./column.js";
import { newCurves } from "./curves.js";
import { newDownloads } from "./downloads.js";
import { newInside } from "./inside.js";
import { ALL, GRID, layerOfKey, showLayerBar, writeLayerBar } from "./layers.js";
import { newLoader } from "./loader.js";
import { closeOutside, writeReceipt } from "./menus.js";
import { accept, isPair, lastStep, newModel } from "./model.js";
import { newPlayer } from "./player.js";
import { newProjector, projected } from "./projector.js";
import { newSwipe } from "./swipe.js";
import { newTable } from "./table.js";
import { hasVerdicts } from "./verdicts.js";
import { register, takeWanted, tell, textsOf, VIEW_KEYS } from "./view_address.js";
import { newZoom } from "./zoom.js";

const PATIENCE = 400;                 // ms
const PAINTED_BYTES = 160 * 2 ** 20;
const PANORAMA = 1.5, PORTRAIT = 0.5; // width over height from which the projector is laid out in another way
const CRISP_SIDE = 64;                // px: pictures this small are shown as the squares they are made of

// `element`, `props` and `watch` come from Gradio, `address` from modules.py.
export function mount({ element, props, watch, address }) {
  const root = element.querySelector(".rv");
  const host = element.closest(".block") || element;  // the one with the elem_id
  const find = (name) => root.querySelector(`.rv-${name}`);
  const model = newModel();
  const view = { step: 0, lanes: [0, 1], factor: null, scale: "own", layer: ALL, against: "reference",
    ruler: "jpeg", wanted: "jpeg",    // the distortion on show, and the one that the visitor chose
    wipe: 0.5, zoom: { scale: 1, x: 0, y: 0 },  // x, y: where the corner lies, in sizes of the frame
    log: true, moves: true, following: true, playing: false, explored: false,
    projector: null, alone: null };
  const cache = newCache(PAINTED_BYTES);
  let columns = [];
  let columnsOf = null;               // the run that the columns were built for
  let fitting = null;                 // the amplification that fits by itself; the visitor may choose another
  let settled = false;                // this run's first pictures are there, or will never be
  let patience = 0;                   // when a run without pictures shows what it starts from
  let shownLayer = null;
  let writeTable = () => {};
  let scheduled = false;
  let whole = false;                  // more is to be shown than the opened metric

  const load = newLoader(model, view, () => settle());
  const curves = newCurves(root, model, view, act);
  const zoom = newZoom(root, model, view, () => columns, act, () => tell(host.id, "view"));
  const downloads = newDownloads(root, model, view, address);
  const inside = newInside(root, model, view, act, address, JSON.parse(props.scores || "[]"), cache);
  const play = newPlayer(root, model, view, act, schedule);
  const projector = newProjector(root, model, view, () => columns, act, play);
  const swipe = newSwipe(root, model, view, () => columns);

  function receive(message) {
    if (!message || !message.run) return;
    if (accept(model, message)) startRun();
    if (model.state === "empty") find("empty").textContent = message.says ?? props.empty;
    if (model.state === "empty") mirrorState();  // the placeholder takes the place of what fits no more
    if (!model.meta) return;
    if (view.following) view.step = lastStep(model);
    mirrorState();
    writeRuler(root, model, view);
    downloads.writeFiles();
    load().then(() => settle(model.frames.length > 0));
    curves.draw();
    schedule();
  }

  // Most runs grow within a blink: until then the last one stays, and the page is laid out once and not twice.
  function settle(loaded = false) {
    const pictures = model.pixels.reference && model.frames.some((frame) => frame.decoded);
    settled ||= Boolean(pictures) || loaded || performance.now() > patience;
    schedule();
  }

  // Back to what the server sent last, from what a lesson has shown in its place.
  function restore() {
    if (!props.value?.run || props.value.run === model.run) return;
    model.past.delete(props.value.run);
    receive(props.value);
  }

  // The server is gone, and with it the run; what came stays.
  function stop() {
    if (model.state === "running") receive({ run: model.run, state: "stopped" });
  }

  function startRun() {
    settled = false;
    patience = performance.now() + PATIENCE;
    setTimeout(() => settle(), PATIENCE + 1);
    Object.assign(view, { step: 0, lanes: [0, 1], layer: ALL, factor: null });
    Object.assign(view, { following: true, playing: false, explored: false });
    cache.clear();
    tell(host.id, "run", { state: model.state });
  }

  // What another run needs anew. The old columns stay until there is something to put in their place: nothing flashes.
  function build() {
    const { meta } = model;
    columnsOf = model.run;
    view.lanes = meta.lanes.length > 1 ? [0, 1] : [0];
    view.factor ??= fitting = fittingFactor(model);
    view.against = meta.start ? "start" : "reference";
    root.dataset.kind = isPair(model) ? "pair" : hasVerdicts(model) ? "fooling" : "attack";
    root.classList.toggle("rv-crisp", Math.max(meta.width, meta.height) <= CRISP_SIDE);
    find("says").hidden = isPair(model);
    root.classList.toggle("rv-many", meta.metrics.length > 2);
    writeShape(meta);
    columns = view.lanes.map((_, index) => newColumn(root, model, view, index, act));
    find("columns").replaceChildren(...columns.map((column) => column.root));
    find("scrubber").max = meta.steps;
    swipe.build();
    writeLayerBar(root, model, act);
    writeTable = newTable(root, model, view);
    writeReceipt(root, model);
    curves.writeLegend();
    curves.draw();
    zoom.refresh();
    projector.refresh();
    inside.build();
    const values = takeWanted(host.id, model.run);
    if (values) { open(values); tell(host.id, "view"); }
  }

  // What the style sheets lay out by. Times --a and --d a square's sides become those of a picture of the same area.
  function writeShape({ width, height, metrics }) {
    const aspect = width / height;
    const pictures = 2 + metrics.length;
    const shape = { n: Math.ceil(pictures / 2), pictures, metrics: metrics.length, aspect,
      across: Math.min(1, aspect), down: Math.min(1, 1 / aspect), a: Math.sqrt(aspect), d: 1 / Math.sqrt(aspect) };
    for (const [name, value] of Object.entries(shape)) root.style.setProperty(`--${name}`, value);
    root.dataset.shape = aspect > PANORAMA ? "panorama" : aspect < PORTRAIT ? "portrait" : "usual";
  }

  // What an address says: values for keys of the view, the default for the others. False if the run is not on show.
  function open(values, run = null) {
    if (!model.meta || columnsOf !== model.run || (run && run !== model.run)) return false;
    for (const [key, { to }] of Object.entries(VIEW_KEYS)) Object.assign(view, to(values[key], model, view));
    for (const name of ["scale", "ruler"]) find(name).value = view[name];
    columns.forEach((column, index) => { column.root.querySelector(".rv-lane").value = view.lanes[index]; });
    for (const select of root.querySelectorAll(".rv-against")) select.value = view.against;
    curves.draw();
    zoom.refresh();
    mirrorState();
    load();
    schedule();
    return true;
  }

  // The visitor points at the viewer or moves the focus into it, and is about to scrub: time to load all pictures.
  function explore() {
    view.explored = true;
    load();
  }

  function act(change) {
    if (view.projector && "layer" in change) view.projector = projected(view, change.layer);
    Object.assign(view, change, { explored: true });
    if ("step" in change) {
      view.step = Math.min(lastStep(model), Math.max(0, view.step));
      view.following = view.step === lastStep(model);
      if (!change.playing) view.playing = false;
    }
    if ("ruler" in change) curves.draw();
    mirrorState();
    load();
    schedule(isOwn(change));
    tell(host.id, "view");
  }

  // A visitor's own metric changes the opened metric alone, and its maps in the grid of all layers.
  const isOwn = (change) => view.layer !== GRID && Object.keys(change).every((key) => key === "recipe");

  function schedule(insideAlone = false) {
    whole ||= !insideAlone;
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      const all = whole;
      scheduled = whole = false;
      if (all) show();
      else inside.show();
    });
  }

  function show() {
    if (!model.meta) return;
    if (columnsOf !== model.run && (settled || !columns.length)) build();
    if (columnsOf !== model.run) return;
    // How far a perceptual ball lets pixels move is known only when the attack has ended.
    const final = hasVerdicts(model) && model.state !== "running";
    if (final && view.factor === fitting) view.factor = fitting = fittingFactor(model);
    for (const column of columns) showColumn(column, root, model, view, cache);
    if (shownLayer !== view.layer) {    // there may be other pictures
      zoom.refresh();
      projector.refresh();
    }
    shownLayer = view.layer;
    writeTable();
    writeBar(root, model, view);
    swipe.show();
    showLayerBar(root, view);
    curves.moveCursor();
    zoom.probeAgain();
    inside.show();
    projector.show();
  }

  // Keys choose a layer while this viewer is the one on show.
  function chooseLayer(event) {
    const away = event.target !== document.body && !root.contains(event.target);
    if (!root.isConnected || !root.getClientRects().length || !model.meta || away) return;
    const layer = layerOfKey(model, event);
    if (layer === undefined) return;
    event.preventDefault();
    act({ layer });
  }

  // The root carries the state for anyone who asks: style sheet, tests, other scripts.
  function mirrorState() {
    const state = { state: model.state, step: view.step, steps: model.meta?.steps ?? 0 };
    for (const node of [root, host]) Object.assign(node.dataset, state);
  }

  function listen() {
    document.addEventListener("server-away", stop);
    for (const arrival of ["pointerenter", "focusin"]) root.addEventListener(arrival, explore, { once: true });
    find("scrubber").addEventListener("input", (event) => act({ step: Number(event.target.value) }));
    find("play").addEventListener("click", play);
    find("scale").addEventListener("change", (event) => act({ scale: event.target.value }));
    document.addEventListener("keydown", chooseLayer);
    find("ruler").addEventListener("change", ({ target }) => act({ ruler: target.value, wanted: target.value }));
    for (const menu of root.querySelectorAll(".rv-menu")) closeOutside(menu);
  }

  find("empty").textContent = props.empty;
  listen();
  watch("value", () => receive(props.value));
  mirrorState();
  receive(props.value);
  register(host.id, { open, texts: () => (model.meta && columnsOf === model.run ? textsOf(view, model) : {}),
    model, act, step: () => view.step, show: receive, restore });
}
