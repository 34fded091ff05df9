// The room of a class: the lecturer opens it, shows code and link, and sees the counts; a student sees that an answer
// counts.

import { make } from "./dom.js";
import { roomNow } from "./room.js";
import { isLocal, pageLink } from "./share.js";
import { percent } from "./text.js";

const MINE = "rlpips-class";          // the room that this browser has opened, {code, key}
const LOOK_MS = 2000;
const LETTERS = ["A", "B"];

// `element`, `props`, `trigger` and `watch` come from Gradio; `address` makes an address of the server.
export function mount({ element, props, trigger, watch, address }) {
  const root = element.querySelector(".jc");
  const find = (name) => root.querySelector(`.jc-${name}`);
  const dialog = find("dialog");
  let mine = load();
  let revealed = false;

  const isMine = () => Boolean(mine) && roomNow() === mine.code;

  function show() {
    const room = roomNow();
    root.dataset.state = isMine() ? "lecturer" : room ? "student" : "none";
    find("open").textContent = isMine() ? `Room ${room}` : "For a class";
    find("open").hidden = Boolean(room) && !isMine();
    say(room && !isMine() ? `You are in room ${room.slice(0, 10)}: your answers count, without a name.` : "");
  }

  const say = (text) => { find("says").textContent = text; };

  async function open() {
    if (!isMine() && !(await makeRoom())) return;
    const link = pageLink(`#judge?room=${mine.code}`, props.space);
    find("code").textContent = mine.code;
    find("link").textContent = link;
    find("qr").src = address(`viewer/qr?link=${encodeURIComponent(link)}`);
    find("note").hidden = !isLocal();
    dialog.showModal();
    look();
  }

  async function makeRoom() {
    const answer = await fetch(address("viewer/rooms"), { method: "POST" }).catch(() => null);
    if (!answer?.ok) {
      say(answer?.status === 429 ? await answer.text() : "The server does not answer. Try again.");
      return false;
    }
    mine = await answer.json();
    try { sessionStorage.setItem(MINE, JSON.stringify(mine)); } catch { /* not allowed in this frame */ }
    const detail = { page: "judge", entries: [["room", mine.code]], atOnce: true };
    document.dispatchEvent(new CustomEvent("page-controls", { detail }));
    show();
    trigger("opened");                // all begin with the same question
    return true;
  }

  // The counts, every other second while they can be seen.
  async function look() {
    if (!dialog.open) return;
    const headers = { "x-room-key": mine.key };
    const answer = await fetch(address(`viewer/rooms/${mine.code}`), { headers, cache: "no-store" }).catch(() => null);
    if (answer?.ok) write(await answer.json());
    else if (answer?.status === 404) find("tally").querySelector("h2").textContent = await answer.text();
    setTimeout(look, LOOK_MS);
  }

  function write({ voters, votes, agreement, questions }) {
    const heading = find("tally").querySelector("h2");
    heading.textContent = `${votes} answer${votes === 1 ? "" : "s"} from ${voters} browser${voters === 1 ? "" : "s"}`;
    find("agreement").replaceChildren(...agreement.map(({ title, color, agrees }) => {
      const line = make("li", { className: "jc-ink" }, make("b", { textContent: percent(agrees / votes) }),
        make("span", { textContent: `of the answers are those of ${title}` }));
      line.style.setProperty("--raw", color);
      return line;
    }));
    find("questions").replaceChildren(...questions.map((question) => newQuestion(question, address)).reverse());
  }

  function reveal(on) {
    revealed = on;
    find("shown").hidden = !on;
    find("hidden").hidden = on;
    find("reveal").setAttribute("aria-expanded", on);
    find("reveal").textContent = on ? "Hide the counts" : "Show the counts";
  }

  find("open").addEventListener("click", open);
  find("reveal").addEventListener("click", () => reveal(!revealed));
  addEventListener("hashchange", show);
  document.addEventListener("page-selected", () => setTimeout(show));
  document.addEventListener("page-address", show);
  watch("value", () => props.value && say(props.value.says));
  show();

  function load() {
    try { return JSON.parse(sessionStorage.getItem(MINE)); } catch { return null; }
  }
}

// One question: its pictures, a bar for each candidate, and who chooses as the class may have.
function newQuestion({ number, index, words, counts, says }, address) {
  const total = counts[0] + counts[1];
  const bars = counts.map((count, i) => {
    const fill = make("i");
    fill.style.transform = `scaleX(${count / total})`;
    const who = says.filter(({ choice }) => choice === i).map(({ title, color }) => {
      const name = make("span", { className: "jc-ink", textContent: title });
      name.style.setProperty("--raw", color);
      return name;
    });
    return make("div", { className: "jc-bar" }, make("b", { textContent: LETTERS[i] }), make("u", {}, fill),
      make("span", { textContent: `${count}: ${words[i]}` }), make("p", {}, ...who));
  });
  return make("li", { value: number }, make("h3", { textContent: `Question ${number}: reference, A, B` }),
    make("img", { src: address(`viewer/questions/${index}`), loading: "lazy",
      alt: `question ${number}: reference, A and B` }),
    ...bars);
}
