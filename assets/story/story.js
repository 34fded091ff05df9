// The story: scenes of one sentence and one number each, on recorded duels, in the viewer. The page loads this file
// when somebody asks for the story, and keeps its address (see address.js).

import { make } from "../viewer/dom.js";
import { accept, lastStep, newModel } from "../viewer/model.js";
import { VIEW_KEYS, viewerOf, viewTexts, want } from "../viewer/view_address.js";
import { filled, readStory } from "./format.js";
import { newLight } from "./light.js";
import { newPanel } from "./panel.js";
import { fetchText, newSource, sourceOf } from "./source.js";
import { newAttempts } from "./task.js";
import { VALUES, measure, valueText } from "./values.js";

const VIEWER = "viewer";
const LOOK_MS = 200;                  // how often the light follows the page
const AIM_MS = 2500;                  // how long the page may take to lay itself out for a scene
const PLAY_MS = 3500;                 // a whole attack
const PATIENCE_MS = 15000;            // for pictures that a number is computed from
const OF_ALL = { passive: true, capture: true };  // of whatever scrolls on the page
const ELSEWHERE = "The link names a story at an address that is neither https nor of this page: it is not opened. "
  + "This is the lesson that comes with the page.";

// `addressOf` makes the address of a file of the server; `moved({scene, from})` hears where the story is, null when
// it is closed.
export function newStory({ addressOf, moved }) {
  const source = newSource(addressOf);
  const light = newLight();
  const panel = newPanel({ next, back, close: () => leave(), go: (to) => go(to), predict, tryIt, open: openFile,
    agree: () => start(fetched()), refuse: () => begin({ scene: 1, from: "" }, true) }, addressOf("story/format"));
  const style = make("link", { rel: "stylesheet", href: addressOf("story/story.css") });
  const styled = new Promise((resolve) => { style.onload = style.onerror = resolve; });
  let told = null;                    // {scene, from} on show; null while closed
  let story = null;
  let answers = new Map();            // scene -> the prediction, null for none; a scene that is revealed has an entry
  let attempts = null, taskText = ""; // while a task is tried
  let before = null;                  // what the viewer showed before the story
  let current = null;                 // once it is loaded: {scene, run, viewer, others}, models by names of the scene's
  let turn = 0;                       // counts what is asked for; what an older turn loads is of no use
  let aimUntil = 0, timer = 0, runs = 0, returnTo = null;

  // ---- open and close

  // Where an address says that the story is. A second call with the same does nothing.
  async function open(wanted) {
    if (told && told.scene === wanted.scene && told.from === wanted.from) return;
    const isSame = told && told.from === wanted.from && story;
    if (!told) await enter();
    if (!told) return;                // closed meanwhile
    if (isSame) return show(Math.min(wanted.scene, story.scenes.length));
    return begin(wanted);
  }

  async function enter() {
    returnTo = document.activeElement;
    if (!style.isConnected) document.head.append(style);
    document.body.append(light.node, panel.root);
    document.body.dataset.story = "scene";
    document.addEventListener("keydown", key, true);
    addEventListener("keydown", leaveByEscape);
    for (const what of ["scroll", "resize"]) addEventListener(what, light.draw, OF_ALL);
    for (const what of ["wheel", "touchmove"]) addEventListener(what, stopAiming, OF_ALL);
    timer = setInterval(tick, LOOK_MS);
    const texts = Object.entries(viewTexts(VIEWER));
    before = Object.fromEntries(texts.map(([name, text]) => [name, VIEW_KEYS[name].read(text)]));
    told = { scene: 0, from: "" };
    await styled;
  }

  // Put back what was on show.
  function close() {
    if (!told) return;
    turn++;
    [told, story, current, attempts, answers] = [null, null, null, null, new Map()];
    clearInterval(timer);
    document.removeEventListener("keydown", key, true);
    removeEventListener("keydown", leaveByEscape);
    for (const what of ["scroll", "resize"]) removeEventListener(what, light.draw, OF_ALL);
    for (const what of ["wheel", "touchmove"]) removeEventListener(what, stopAiming, OF_ALL);
    for (const node of [light.node, panel.root]) node.remove();
    for (const name of ["story", "storyHides", "storyShows"]) delete document.body.dataset[name];
    document.documentElement.style.removeProperty("--story-height");
    putBack();
    // An address that is the name of a node takes the focus off what had it: then back to where the story is offered.
    const isNowhere = !returnTo?.isConnected || returnTo === document.body;
    (isNowhere ? document.querySelector("#story button") : returnTo)?.focus({ preventScroll: true });
  }

  function putBack() {
    viewerOf(VIEWER)?.restore();
    want(VIEWER, before ?? {});
  }

  function leave() {
    close();
    moved(null);
  }

  async function begin({ scene, from }, isNew = false) {
    [answers, attempts, story] = [new Map(), null, null];
    const url = from ? sourceOf(from) : null;
    told = { scene, from: url ? from : "" };
    if (url) {
      panel.offer(url);
      light.on([]);
      return panel.root.focus({ preventScroll: true });
    }
    await start(source.lesson(), isNew);
    if (from) panel.say(ELSEWHERE);
  }

  const fetched = () => fetchText(sourceOf(told.from));

  // Begin with the story whose text is coming; a sentence says why if it cannot be, and what was on show stays.
  async function start(coming, isNew = true, first = told) {
    const mine = ++turn;
    try {
      const [text, names] = await Promise.all([coming, source.names()]);
      const read = readStory(text, names);
      if (mine !== turn || !told) return;
      [story, answers, told] = [read, new Map(), first];
      await show(Math.min(told.scene, story.scenes.length), isNew);
    } catch (error) {
      if (mine === turn) panel.say(error.message);
    }
  }

  async function openFile(file) {
    if (!told) return;
    // A file of any size is looked at as far as a story may go.
    await start(file.slice(0, 2 ** 20).text(), true, { scene: 1, from: "" });
  }

  // ---- scenes

  const isRevealed = () => answers.has(told.scene);
  const sceneNow = () => story.scenes[told.scene - 1];

  function go(to) {
    if (!story || to < 1 || to > story.scenes.length) return;
    show(to, true);
  }

  function next() {
    if (!story) return;
    if (!attempts && !isRevealed() && sceneNow().ask) tell(null);
    else if (told.scene < story.scenes.length) go(told.scene + 1);
    else leave();
  }

  function back() {
    if (attempts) return show(told.scene);
    go(told.scene - 1);
  }

  async function show(number, isNew = false) {
    const mine = ++turn;
    told = { ...told, scene: number };
    attempts = null;
    document.body.dataset.story = "scene";
    moved(told, isNew);
    const scene = sceneNow();
    const loading = Promise.all([scene.trace, ...Object.values(scene.also ?? {})].map(source.duel));
    current = null;
    const about = { name: story.title, title: scene.title, count: story.scenes.length, now: number };
    panel.scene({ ...about, text: "", question: null });
    panel.root.focus({ preventScroll: true });
    hide(Boolean(scene.ask) && !isRevealed());
    try {
      const [message, ...others] = await loading;
      const viewer = await viewerIsThere();
      if (mine !== turn) return;
      const run = onShow(viewer, message);
      current = { scene, run, viewer, others: Object.fromEntries(Object.keys(scene.also ?? {}).map((name, i) =>
        [name, modelOf(others[i])])) };
    } catch (error) {
      if (mine === turn) panel.say(error.message);
      return;
    }
    document.body.dataset.storyShows = scene.show ?? "all";
    lay(scene.view, scene.light, scene.reveal.play && !isRevealed() ? 0 : undefined);
    await pictures([scene.sentence, scene.ask?.question], mine);
    if (mine !== turn) return;
    const question = scene.ask ? { ...scene.ask, question: fill(scene.ask.question) } : null;
    panel.scene({ ...about, text: fill(scene.sentence), question });
    if (isRevealed() || !scene.ask) await tell(answers.get(number) ?? null, false);
  }

  // The duel on show is the one of the message already, if it is the one that the page opened with.
  function onShow(viewer, message) {
    const { model } = viewer;
    const facts = (meta) => JSON.stringify([meta?.name, meta?.receipt]);
    const isThere = model.state === "recorded" && facts(model.meta) === facts(message.meta)
      && JSON.stringify(model.curve.distance.at(-1)) === JSON.stringify(JSON.parse(message.curve).distance.at(-1));
    if (isThere) return model.run;
    const run = `story-${++runs}`;
    viewer.show({ ...message, run });
    return run;
  }

  function modelOf(message) {
    const model = newModel();
    accept(model, { ...message, run: "beside" });
    return model;
  }

  async function viewerIsThere() {
    while (told && !viewerOf(VIEWER)) await pause(50);
    return viewerOf(VIEWER);
  }

  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  function lay(view = {}, parts = [], step = undefined) {
    want(VIEWER, step === undefined ? view : { ...view, step }, current.run);
    light.on(parts);
    aimUntil = performance.now() + AIM_MS;
    tick();
  }

  // Figures are out of sight as long as they are asked for.
  function hide(isHidden) {
    if (isHidden) document.body.dataset.storyHides = "1";
    else delete document.body.dataset.storyHides;
  }

  // ---- the prediction, and what was measured

  function predict(said) {
    if (story && current && !isRevealed()) tell(said);
  }

  async function tell(said, isFirst = true) {
    const mine = turn, { scene } = current ?? {};
    if (!scene) return;
    answers.set(told.scene, said);
    hide(false);
    const { reveal } = scene;
    const view = { ...scene.view, ...reveal.view };
    if (isFirst && reveal.play) await play(view, mine);
    if (mine !== turn) return;
    lay(view, reveal.light ?? scene.light);
    await pictures([reveal.number, reveal.unit, reveal.text, `{${scene.ask?.value}}`], mine);
    if (mine !== turn) return;
    panel.revealed({ figure: fill(reveal.number), of: fill(reveal.unit ?? ""), said: compared(scene.ask, said),
      text: fill(reveal.text), task: Boolean(scene.task), last: told.scene === story.scenes.length });
    panel.root.focus({ preventScroll: true });
  }

  // From the first step to the one of the scene; at once for people who prefer less motion.
  async function play(view, mine) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const { viewer, scene } = current;
    const last = Math.min(view.step ?? Infinity, lastStep(viewer.model));
    light.on(scene.reveal.light ?? scene.light ?? []);
    const begun = performance.now();
    for (let now = begun; now < begun + PLAY_MS && mine === turn; now = await new Promise(requestAnimationFrame)) {
      const step = Math.round((last * (now - begun)) / PLAY_MS);
      if (step === viewer.step()) continue;
      viewer.act({ step });
      panel.figureIs(filled(scene.reveal.number, (name) => textOf(name, step)));
    }
  }

  // Waits for the pictures that the values in these texts are computed from.
  async function pictures(texts, mine) {
    const names = Object.keys(VALUES).filter((name) => VALUES[name].pictures && texts.join(" ").includes(`{${name}}`));
    const until = performance.now() + PATIENCE_MS;
    if (names.some((name) => valueAt(name) === null)) current.viewer.act({});  // so that it loads all of them
    while (mine === turn && performance.now() < until && names.some((name) => valueAt(name) === null)) await pause(40);
  }

  const stepOf = () => Math.min(current.scene.reveal.view?.step ?? current.scene.view?.step ?? Infinity,
    lastStep(current.viewer.model));
  const place = (name) => {           // the model that a name speaks of, its step, and what is left of the name
    const [first, rest] = name.split(".");
    const other = rest ? current.others[first] : null;
    return other ? [rest, other, lastStep(other)] : [name, current.viewer.model, stepOf()];
  };
  const valueAt = (name) => measure(...place(name));
  const textOf = (name, step) => {
    const [key, model, its] = place(name);
    return valueText(key, model, model === current.viewer.model ? step ?? its : its);
  };
  const fill = (text) => filled(text, (name) => textOf(name));

  // "You said …": beside what was measured, whichever it is.
  function compared(ask, said) {
    if (!ask || said === null) return "";
    const value = valueAt(ask.value);
    if (value === null) return "";
    if (ask.slider) {
      const unit = ask.slider.unit ? ` ${ask.slider.unit}` : "";
      const isRight = Math.abs(said - value) <= ask.slider.step / 2;
      return `You said ${said}${unit}; ${isRight ? "and so it is" : `measured: ${textOf(ask.value)}${unit}`}.`;
    }
    const right = ask.choices.find(({ from = -Infinity, to = Infinity }) => value >= from && value < to);
    if (right === said) return `You said “${said.text}”, and so it is.`;
    return `You said “${said.text}”; measured: ${right ? `“${right.text}”` : textOf(ask.value)}.`;
  }

  // ---- now try it

  function tryIt() {
    const { task } = sceneNow();
    if (!task) return;
    [attempts, taskText] = [newAttempts(task), fill(task.text)];
    document.body.dataset.story = "task";
    delete document.body.dataset.storyShows;
    light.on([]);
    putBack();                        // so that the duel on show is the one of the controls
    writeTask();
    panel.root.focus({ preventScroll: true });
    scrollTo(0, 0);
    document.querySelector(`#${task.least ?? "run"}`)?.scrollIntoView({ block: "nearest" });
  }

  function writeTask() {
    attempts.look(viewerOf(VIEWER)?.model);
    panel.trying({ text: taskText, ...attempts.says(), last: told.scene === story.scenes.length });
  }

  // ---- what goes on by itself, and keys

  function tick() {
    document.documentElement.style.setProperty("--story-height", `${panel.root.offsetHeight}px`);
    light.draw();
    if (performance.now() < aimUntil) light.aim(innerHeight - panel.root.offsetHeight);
    if (attempts) writeTask();
  }

  function stopAiming() { aimUntil = 0; }

  const MOVES = {
    ArrowRight: next, PageDown: next, " ": next, ArrowLeft: back, PageUp: back, Home: () => go(1),
    End: () => go(story?.scenes.length ?? 0),
  };

  const isForOthers = ({ target, ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey
    || document.querySelector("dialog[open], :popover-open")
    || target.closest?.("input:not([type=range]), textarea, select, [contenteditable]");

  // After everything that is open above the story: a menu, a picture that is zoomed or alone, the projector.
  function leaveByEscape(event) {
    if (event.key === "Escape" && !event.defaultPrevented && !isForOthers(event)) leave();
  }

  // The other keys belong to the story unless they are for something that has the focus.
  function key(event) {
    if (isForOthers(event)) return;
    const { target } = event;
    const inPanel = panel.root.contains(target), isFree = target === document.body || target === panel.root;
    const take = () => { event.preventDefault(); event.stopPropagation(); };
    const isCovered = document.body.matches(".projecting");  // by the projector, which has keys of its own
    const place = Number(event.key) - 1;
    if (isFree && !isCovered && panel.choices[place] && panel.root.dataset.state === "asks") {
      take();
      return panel.choices[place].click();
    }
    const isPage = event.key === "PageDown" || event.key === "PageUp";
    const isRange = target.matches?.("input");
    const isPress = event.key === " " && target.closest?.("button, a, summary, label");
    if (!MOVES[event.key] || isPress || (!isPage && (isRange || isCovered || !(isFree || inPanel)))) return;
    take();
    if (!event.repeat) MOVES[event.key]();
  }

  return { open, close };
}
