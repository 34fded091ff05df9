// Wiring: one state of the view, one function that changes it (act), and one that shows it (show), which runs
// at most once per frame of the screen. `element`, `props` and `watch` come from Gradio.

const PATIENCE = 400;               // ms
const PLAY_SECONDS = 4;             // a whole attack
const SLOW_SECONDS = 20;            // the same for people who ask for less motion
const CRISP_SIDE = 64;              // px: pictures this small are shown as the squares they are made of
const ORIGINS = { running: "live, running", done: "live", stopped: "live, stopped" };

function newViewer(element, props, watch) {
  const root = element.querySelector(".rv");
  const host = element.closest(".block") || element;      // the one with the elem_id
  const find = (name) => root.querySelector(`.rv-${name}`);
  const model = newModel();
  const view = { step: 0, lanes: [0, 1], factor: null, scale: "common", ruler: "jpeg", against: "reference",
    log: true, following: true, playing: false, explored: false };
  const cache = newCache(PAINTED_BYTES);
  let columns = [];
  let columnsOf = null;             // the run that the columns were built for
  let guessed = null;               // the amplification that the viewer has chosen by itself
  let settled = false;              // this run's first pictures are there, or will never be
  let patience = 0;                 // when a run without pictures shows what it starts from
  let writeTable = () => {};
  let scheduled = false;

  const load = newLoader(model, view, () => settle());
  const curves = newCurves(root, model, view, act);
  const zoom = newZoom(root, model, view, () => columns, act);

  function receive(message) {
    if (!message || !message.run) return;
    if (accept(model, message)) startRun();
    if (!model.meta) return;
    if (view.following) view.step = lastStep(model);
    mirrorState();
    writeRuler();
    load().then(() => settle(model.frames.length > 0));
    curves.draw();
    schedule();
  }

  // Most runs grow within a blink: until then the last one stays, and the page is laid out once and not twice.
  function settle(tried = false) {
    const seen = model.pixels.reference && model.frames.some((frame) => frame.decoded);
    settled ||= Boolean(seen) || tried || performance.now() > patience;
    schedule();
  }

  function startRun() {
    settled = false;
    patience = performance.now() + PATIENCE;
    setTimeout(() => settle(), PATIENCE + 1);
    Object.assign(view, { step: 0, lanes: [0, 1], factor: null, following: true, playing: false, explored: false });
    cache.clear();
  }

  // What has to be built anew for another run. The old columns stay until there is something to put in their
  // place, so that nothing flashes.
  function build() {
    const { meta } = model;
    columnsOf = model.run;
    view.lanes = meta.lanes.length > 1 ? [0, 1] : [0];
    view.factor ??= guessed = fittingFactor();
    view.against = meta.start ? "start" : "reference";
    root.dataset.kind = isPair(model) ? "pair" : isFooling(model) ? "fooling" : "attack";
    root.classList.toggle("rv-crisp", Math.max(meta.width, meta.height) <= CRISP_SIDE);
    find("says").hidden = !isFooling(model);
    root.classList.toggle("rv-many", meta.metrics.length > 2);
    root.style.setProperty("--n", Math.ceil((2 + meta.metrics.length) / 2));
    root.style.setProperty("--across", Math.min(1, meta.width / meta.height));
    root.style.setProperty("--down", Math.min(1, meta.height / meta.width));
    columns = view.lanes.map((_, index) => newColumn(root, model, view, index, act));
    find("columns").replaceChildren(...columns.map((column) => column.root));
    find("scrubber").max = meta.steps;
    writeTable = newTable(root, model, view);
    writeReceipt(root, model);
    curves.writeLegend();
    curves.draw();
    zoom.refresh();
  }

  // The factor that lets the perturbation just about fill the range of the screen: l∞ bounds it in every
  // pixel; otherwise it is taken as three standard deviations.
  function fittingFactor() {
    const { norm, eps, width, height } = model.meta;
    if (isFooling(model)) return nearestFactor(expectedSize(model));
    const deviation = isPair(model)
      ? 10 ** (-(LAST(model.frames)?.psnr[0] ?? 40) / 20)
      : eps / Math.sqrt(3 * width * height);
    const size = 255 * (norm === "linf" && !isPair(model) ? eps : 3 * deviation);
    return nearestFactor(size);
  }

  function nearestFactor(size) {
    const miss = (factor) => Math.abs(factor * size - 100);
    return FACTORS.reduce((best, factor) => (miss(factor) < miss(best) ? factor : best));
  }

  // Somebody points at the viewer or has come to it with the keyboard, and is about to scrub: time to load all pictures.
  function explore() {
    view.explored = true;
    load();
  }

  function act(change) {
    Object.assign(view, change, { explored: true });
    if ("step" in change) {
      view.step = Math.min(lastStep(model), Math.max(0, view.step));
      view.following = view.step === lastStep(model);
      if (!change.playing) view.playing = false;
    }
    if ("ruler" in change) curves.draw();
    mirrorState();
    load();
    schedule();
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; show(); });
  }

  function show() {
    if (!model.meta) return;
    if (columnsOf !== model.run && (settled || !columns.length)) build();
    if (columnsOf !== model.run) return;
    // How far a perceptual ball lets pixels move is known when the attack has ended, and no sooner.
    if (isFooling(model) && model.state !== "running" && view.factor === guessed) view.factor = guessed = fittingFactor();
    for (const column of columns) showColumn(column, model, view, cache);
    writeTable();
    writeBar();
    curves.moveCursor();
    zoom.probeAgain();
  }

  // The root carries the state for anyone who asks: style sheet, tests, other scripts.
  function mirrorState() {
    const state = { state: model.state, step: view.step, steps: model.meta?.steps ?? 0 };
    for (const node of [root, host]) Object.assign(node.dataset, state);
  }

  function writeBar() {
    const { steps } = model.meta;
    const scrubber = find("scrubber");
    scrubber.value = view.step;
    scrubber.style.setProperty("--known", `${(100 * lastStep(model)) / Math.max(1, steps)}%`);
    scrubber.style.setProperty("--at", `${(100 * view.step) / Math.max(1, steps)}%`);
    scrubber.setAttribute("aria-valuetext", `step ${view.step} of ${steps}`);
    find("step").textContent = `step ${view.step} of ${steps}`;
    find("play").setAttribute("aria-label", view.playing ? "Pause" : "Play");
    find("play").classList.toggle("rv-playing", view.playing);
    find("origin").textContent = isPair(model) ? "measured" : ORIGINS[model.state] ?? model.state;
    find("device").textContent = `${model.meta.backbone} · ${model.meta.device}`;
    if (isFooling(model)) find("says").textContent = lecture(model, view.step);
    writeNumbersTitle();
  }

  // Only keyframes have a picture of 8 bits: say so where the two differ.
  function writeNumbersTitle() {
    const keyframe = frameAt(model, view.lanes[0], view.step)?.step ?? view.step;
    const title = find("numbers").querySelector("h3");
    title.textContent = isPair(model) ? "Numbers" : `Numbers at step ${view.step}`;
    if (keyframe !== view.step) title.append(make("span", { textContent: ` 8 bits: ${keyframe}` }));
  }

  function writeRuler() {
    const select = find("ruler");
    const offered = (model.ruler?.distortions || []).map((d) => [d.name, d.title]);
    select.parentElement.hidden = !offered.length;
    const listed = [...select.options].map((option) => option.value);
    if (!offered.length || String(listed) === String(offered.map(([name]) => name))) return;
    if (!offered.some(([name]) => name === view.ruler)) view.ruler = offered[0][0];
    select.replaceChildren(...options(offered, view.ruler));
  }

  function play() {
    view.playing = !view.playing;
    if (!view.playing) return schedule();
    if (view.step >= model.meta.steps) view.step = 0;
    view.following = false;
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pause = (1000 * (slow ? SLOW_SECONDS : PLAY_SECONDS)) / Math.max(1, model.meta.steps);
    let due = performance.now() + pause;
    requestAnimationFrame(function tick(now) {
      if (!view.playing || !root.isConnected) return;
      if (now >= due) {
        due = Math.max(due + pause, now);
        act({ step: view.step + 1, playing: view.step + 1 < model.meta.steps });
      }
      requestAnimationFrame(tick);
    });
    schedule();
  }

  function listen() {
    for (const coming of ["pointerenter", "focusin"]) root.addEventListener(coming, explore, { once: true });
    find("scrubber").addEventListener("input", (event) => act({ step: Number(event.target.value) }));
    find("play").addEventListener("click", play);
    find("scale").addEventListener("change", (event) => act({ scale: event.target.value }));
    find("ruler").addEventListener("change", (event) => act({ ruler: event.target.value }));
    find("downloads").addEventListener("toggle", () => model.meta && writeDownloads(root, model, view));
    for (const menu of root.querySelectorAll(".rv-menu")) closeOutside(menu);
  }

  function closeOutside(menu) {
    menu.addEventListener("focusout", (event) => {
      if (!menu.contains(event.relatedTarget)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  find("empty").textContent = props.empty;
  listen();
  watch("value", () => receive(props.value));
  mirrorState();
  receive(props.value);
}

window.newTraceViewer = newViewer;    // for the viewers of other tabs
newViewer(element, props, watch);
