// The address of the page: it opens what the address says, and keeps the address to what is on show.

import { watchServer } from "./away.js";
import { watchArea } from "./area.js";
import { mountDrawer } from "./drawer.js";
import { mountHelp } from "./help.js";
import { mountKeys } from "./keys.js";
import { mountLabels } from "./labels.js";
import { english, newLanguage } from "./language.js";
import { newMore } from "./more.js";
import { mountPhone } from "./phone.js";
import { isInSpaces, mountShare, pageLink, SPACES } from "./share.js";
import { completed, format, isSame, parse, selectorOf, shortened } from "./address_text.js";
import { make } from "./dom.js";
import { newStoryDoor } from "./story_door.js";
import { viewerOf, viewTexts, want } from "./view_address.js";

const QUIET_MS = 300;                 // a browser takes only so many changes of the address
const PATIENCE_MS = 10000;            // how long the server may take to open an address
const VIEWERS = { duel: "viewer", inspect: "pair-viewer", classifier: "fool-viewer", pairs: "pairs" };
const RUNS = { duel: "", classifier: "fool-" };  // pages whose settings make what is on show, and how their ids begin
const HOLD_MS = 50;
const SETTINGS = ":is(#page-duel, #page-classifier) .controls > :not(#samples, #fool-samples, .stays)";
const PICTURES = "#samples .thumbnail-item";
const CHANGED = "Settings changed – press Run.";
const UNSEEN = "Press Run to see this duel.";

// `props`: the vocabulary (see address_text.js), `samples`, the names of the sample pictures, `recorded`, whether the
// page opens with a recorded duel, `space`, its name on Spaces, `help`, what help.js takes, and `languages`, what
// language.js takes.
export function mount({ element, props, trigger, watch, address: addressOf }) {
  const keys = props.keys.duel;       // what the controls of the Duel are called
  const embeds = new URLSearchParams(location.search).has("embed");
  let page = props.pages[0];
  let anchor = "";
  let hide = [];
  let story = null;                   // where the story is, {scene, from}, while it is open
  let settings = completed(keys, {}); // texts of the controls of the Duel
  let heard = settings;               // the same while the server is setting the controls
  const others = {};                  // the same of other pages, by page
  // Those of what is on show, by page; null if no controls can make it.
  const shown = { duel: props.recorded ? settings : null, classifier: completed(props.keys.classifier ?? [], {}) };
  const asked = {};                   // those that Run was pressed with, until its run is on show
  let wantedView = null;              // the view of the recorded duel that the server is opening
  let nextView = null;                // the view of a duel that is not recorded, until Run makes it
  let awaited = null;                 // the run that it has sent, until a viewer begins to show one
  let opening = 0;                    // the address that the server is opening, by number
  let meanwhile = null;               // what the visitor wants since then: a function, called after the answer
  let count = 0;
  let seen = location.hash;           // the address that was opened or written last
  let timer = 0;
  let holding = 0;
  let held = [];                      // parts of the page that wait for the server

  const keysOf = (name) => props.keys[name] ?? [];
  const textsOf = (name) => (name === "duel" ? settings : others[name] ?? completed(keysOf(name), {}));

  // ---- what the address says, to the page

  function open(hash) {
    seen = hash;
    const wanted = parse(hash, props);
    ({ page, anchor, hide, story } = wanted);
    if (!story) more.set(page, wanted.more);
    leaveOut();
    clearTimeout(timer);
    language.take(wanted.lang);
    if (language.asked() !== wanted.lang) keepSoon();
    door(story);
    if (story) {                      // over the first page, whose controls stay as they are
      if (wanted.faults.length) ask("open", { page, texts: null, faults: wanted.faults });
      return select();
    }
    const all = completed(keysOf(page), wanted.texts);
    const isKnown = (name) => keysOf(page).some((key) => key.name === name);
    const isSet = Object.keys(wanted.texts).every(isKnown) && isSame(keysOf(page), all, textsOf(page));
    const isThere = !(page in RUNS) || (isSet && isOnShow(page));
    if (VIEWERS[page] && isThere) want(VIEWERS[page], wanted.view);
    wantedView = isSet ? null : wanted.view;
    if (!isSet && page !== "duel") others[page] = all;
    const isSelected = select();
    if (isSet && isSelected && !wanted.faults.length) return scrollTo(anchor);
    ask("open", { page, texts: isSet ? null : wanted.texts, faults: wanted.faults, selects: !isSelected });
  }

  // The server sets the controls; until then the address stays.
  function ask(event, detail) {
    const number = ++count;
    opening = number;
    trigger(event, { ...detail, count: number });
    setTimeout(() => { if (opening === number) { opening = 0; goOn(); } }, PATIENCE_MS);
    hold(document.activeElement);
  }

  // Act now, or once the server has answered: one question at a time, as answers overtake each other. Of all that the
  // visitor does meanwhile the last thing counts.
  function inTurn(act) {
    if (opening) meanwhile = act;
    else act();
  }

  function goOn() {
    const act = meanwhile;
    meanwhile = null;
    if (act) setTimeout(inTurn, 0, act);  // after the events of what the server has set
  }

  // Until the answer nobody types into the controls: it would be overwritten. Whoever has the focus there gets it back.
  function hold(focused) {
    clearTimeout(holding);
    for (const part of opening ? document.querySelectorAll(SETTINGS) : held) part.inert = Boolean(opening);
    if (opening) held = [...document.querySelectorAll(SETTINGS)];
    if (opening) holding = setTimeout(hold, HOLD_MS, focused);
    else if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
  }

  // The server has set the controls to `texts`, if these are there, and shows their duel if `shown`, or something else,
  // which no controls make, if that is false; or it shows the recorded example that another page's texts name. `run`:
  // which run that is; `isNew`: for an entry that Back returns from; `says`: to the visitor; `moved`: to another page.
  function receive({ count: number, texts, shown: isShown, run, isNew, says, moved }) {
    if (number && number !== opening) return;     // too late
    opening = 0;
    if (moved) { delete others[page]; page = moved; }
    if (run && wantedView) want(VIEWERS[page], wantedView, run);
    if (run || isShown === false) nextView = isShown === false ? wantedView : null;
    [wantedView, awaited] = [null, run ?? null];
    if (texts && page !== "duel") {
      others[page] = completed(keysOf(page), texts);
      if (run) [shown[page], asked[page]] = [recordedBy(page), null];
      for (const { name, press } of keysOf(page)) if (press && texts[name]) pressSoon(press);
    } else if (texts) settings = heard = completed(keys, texts);
    else adopt({ picture: picture() });
    if (isShown !== undefined) [shown.duel, asked.duel] = [isShown ? settings : null, null];
    if (says !== undefined) say(says);
    scrollTo(anchor);
    told();
    keep(isNew);
    goOn();
  }

  function leaveOut() {
    const names = [...hide, ...(embeds ? ["title", "tabs"] : [])];
    if (hide.includes("controls") && hide.includes("run")) names.push("column");
    const parts = names.map((name) => (name === "column" ? ".controls" : selectorOf(name, props.keys)));
    style.textContent = parts.length ? `${parts.join(", ")} { display: none !important; }` : "";
  }

  // The settings of the recorded example that those of a page begin with: the defaults beside its name.
  const recordedBy = (name) => completed(keysOf(name), { recorded: others[name].recorded });

  // ---- what is on show, to the address

  const isOnShow = (name) => isSame(keysOf(name), textsOf(name), shown[name]);

  function hashNow() {
    if (story) return format({ story, hide, lang: language.asked() });
    const texts = shortened(keysOf(page), textsOf(page));
    const isThere = !(page in RUNS) || (isOnShow(page) && (!awaited || viewerOf(VIEWERS[page])?.model.run === awaited));
    const view = VIEWERS[page] && isThere ? viewTexts(VIEWERS[page]) : {};
    return format({ page, anchor, texts, view, hide, more: more.isOpen(page), lang: language.asked() });
  }

  // Write the address: in place of the one before, or as a new entry that Back returns from.
  function keep(isNew = false) {
    clearTimeout(timer);
    // An address that the visitor has just gone to (Back) is opened in a moment: it is not written over.
    if (opening || location.hash !== seen) return;
    const hash = hashNow();
    if (hash === (location.hash || `#${props.pages[0]}`)) return;
    // In full: a part of it alone would belong to Gradio's <base>.
    history[isNew ? "pushState" : "replaceState"](history.state, "", location.pathname + location.search + hash);
    seen = location.hash;
    tellParent(hash);
    document.dispatchEvent(new Event("page-address"));
  }

  const keepSoon = () => { clearTimeout(timer); timer = setTimeout(keep, QUIET_MS); };

  // Spaces show the page in a frame. What they have added to its address is theirs, and may be secret.
  function tellParent(hash) {
    if (!isInSpaces()) return;
    const query = new URLSearchParams(location.search);
    for (const name of [...query.keys()]) if (name.startsWith("__")) query.delete(name);
    window.parent.postMessage({ queryString: String(query), hash }, SPACES);
  }

  const linkNow = () => pageLink(hashNow(), props.space);

  // ---- what the visitor does

  function told() {
    for (const [name, id] of Object.entries(RUNS)) {
      const line = document.querySelector(`#${id}changed p`);
      const isTrue = isOnShow(name) || isSame(keysOf(name), textsOf(name), asked[name]);
      const text = isTrue ? "" : shown[name] ? CHANGED : UNSEEN;
      if (line && english(line) !== text) line.textContent = text;
      document.querySelector(`#${id}run`)?.classList.toggle("wanted", Boolean(text));
    }
  }

  function say(text) {
    const notice = element.querySelector(".notice");
    notice.hidden = !text;
    notice.querySelector("p").textContent = text;
  }

  function adopt(changes) {
    heard = { ...heard, ...changes };
    if (opening || isSame(keys, heard, settings)) return;
    settings = heard;
    told();
    keepSoon();
  }

  function picture() {
    const all = [...document.querySelectorAll(PICTURES)];
    const place = all.findIndex((each) => each.matches(".selected")) - (all.length - props.samples.length);
    return all.length ? props.samples[place] ?? "mine" : settings.picture;
  }

  const selected = () => document.querySelector("#pages [role=tab][aria-selected=true]")?.dataset.tabId;

  // Select the page's tab. False if it is not in sight, in the menu of a narrow window.
  function select() {
    const tab = document.querySelector(`#pages [role=tab][data-tab-id=${page}]`);
    if (selected() !== page) tab?.click();
    return Boolean(tab);
  }

  const door = newStoryDoor(addressOf, (next, isNew) => { story = next; keep(isNew); }, say);
  const language = newLanguage(element, props.languages, addressOf, keep);
  const more = newMore(keepSoon);
  const style = document.head.appendChild(make("style"));
  watchServer(addressOf);
  mountShare(element, linkNow, addressOf);
  mountKeys(element, () => page);
  mountHelp(props.help);
  mountLabels();
  mountPhone();
  mountDrawer();
  element.querySelector(".notice button").addEventListener("click", () => say(""));
  document.addEventListener("page-controls", ({ detail: { page: of, entries, atOnce } }) => {
    const filled = entries.filter(([, value]) => of === "duel" || (value ?? null) !== null);  // others are filled late
    const texts = Object.fromEntries(filled.map(([name, value]) => [name, textOf(value)]));
    if (of === "duel") return adopt({ ...texts, picture: picture() });
    if (opening && of === page) return;
    others[of] = { ...completed(keysOf(of), others[of] ?? {}), ...texts };
    told();
    if (of === page && atOnce) keep();
    else if (of === page) keepSoon();
  });
  document.addEventListener("page-selected", ({ detail }) => {
    if (opening && location.hash !== seen) return;  // an address waits, which counts
    inTurn(() => {
      if (detail === page || detail !== selected()) return;
      [page, story, awaited] = [detail, null, null];
      door(null);
      anchor = "";
      keep(true);
    });
  });
  document.addEventListener("viewer-view", ({ detail }) => detail.id === VIEWERS[page] && keepSoon());
  document.addEventListener("page-recorded", ({ detail: { page: of, texts } }) => inTurn(() => {  // one is chosen
    others[of] = completed(keysOf(of), texts);
    [shown[of], asked[of]] = [others[of], null];
    told();
    keep(true);
    ask("open", { page: of, texts, faults: [] });
  }));
  document.addEventListener("viewer-run", ({ detail }) => {
    awaited = null;
    const name = Object.keys(RUNS).find((each) => VIEWERS[each] === detail.id);
    if (!asked[name] || !["running", "done"].includes(detail.state)) return;
    [shown[name], asked[name]] = [asked[name], null];
    if (nextView && name === "duel") {
      want(detail.id, nextView, viewerOf(detail.id).model.run);
      nextView = null;
    }
    told();
    keep(true);
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("#story button")) location.hash = "story";
    const runs = Object.keys(RUNS).find((name) => target.closest?.(`#${RUNS[name]}run`));
    if (runs) { asked[runs] = textsOf(runs); told(); }
    const card = target.closest?.(PICTURES);
    if (!card || /^\s*Running/.test(english(document.querySelector("#status")))) return;
    const place = [...document.querySelectorAll(PICTURES)].indexOf(card);
    inTurn(() => ask("pick", { place, texts: shortened(keys, settings) }));
  });
  for (const id of Object.values(RUNS)) watchArea(`#${id}changed`, told);
  watchArea("#samples", () => adopt({ picture: picture() }));
  addEventListener("hashchange", () => inTurn(() => open(location.hash)));
  watch("value", () => props.value && receive(props.value));
  if (location.hash.length > 1 || embeds) open(location.hash);
  language.start();
  told();
}

// A control's value as an address has it, without the last digits that a slider makes of 0.3.
const textOf = (value) =>
  (typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(9))) : String(value ?? ""));

// Press a button, which is there when its tab is: in a moment, or once the visitor comes back to it.
function pressSoon(id, tries = 60) {
  const button = document.getElementById(id);
  if (button?.offsetParent) button.click();
  else if (tries) setTimeout(pressSoon, 50, id, tries - 1);
  else document.addEventListener("page-selected", () => pressSoon(id), { once: true });
}

// The heading of "How it works" whose text makes this name: "The attack" is the-attack.
function scrollTo(name) {
  const slug = (text) => text.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  let tries = 40;                     // the page is there when its tab is
  (function look() {
    const headings = [...document.querySelectorAll(".prose-page :is(h2, h3)")];
    const heading = headings.find((each) => slug(english(each)) === name);
    if (name && heading?.offsetParent) { heading.tabIndex = -1; heading.focus(); heading.scrollIntoView(); }
    else if (name && tries-- > 0) setTimeout(look, 50);
  })();
}
