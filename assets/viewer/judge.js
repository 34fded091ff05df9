// The stage of "You be the judge": a strip of three pictures, the visitor's choice, and only then the metrics' choices.

import { paint } from "./canvas.js";
import { bold, LETTERS, newCard } from "./judge_card.js";
import { decodePng } from "./png.js";
import { voteOf } from "./room.js";
import { columnsOf, rowsOf } from "./strip.js";

// `element`, `props`, `trigger` and `watch` come from Gradio.
export function mount({ element, props, trigger, watch }) {
  const root = element.querySelector(".jd");
  const find = (name) => root.querySelector(`.jd-${name}`);
  const candidates = [...root.querySelectorAll(".jd-candidate")];
  const canvases = ["0", "1"].map((choice) => root.querySelector(`[data-choice="${choice}"] canvas`));
  let question = null;                // the message on show, and its pictures as ImageData: reference, A, B
  let pictures = [];

  async function receive(message) {
    if (!message) return;
    if (message.kind === "verdict") return message.id === question?.id && reveal(message);
    question = message.kind === "question" ? message : null;
    if (question) {
      const strip = await decodePng({ url: message.pictures });
      if (question !== message) return;         // a newer one has come
      pictures = columnsOf(strip, 3);
    }
    reset(message.kind);
  }

  function reset(state) {
    find("verdicts").replaceChildren();
    find("said").className = "jd-said";
    find("said").textContent = state === "refused" ? "There is no question to show: the line beside says why." : "";
    if (state === "waiting") find("said").textContent = "Making a question of your picture…";
    if (state === "question") {
      const places = [find("reference").querySelector("canvas"), ...canvases];
      for (const [i, canvas] of places.entries()) paint(canvas, pictures[i]);
      find("said").textContent = "← or A, → or B, or touch a picture.";
    }
    candidates.forEach((button, i) => {
      button.className = "jd-picture jd-candidate";
      button.disabled = state !== "question";
      button.setAttribute("aria-label", `candidate ${LETTERS[i]} is nearer`);
      caption(i, i ? "B is nearer →" : "← A is nearer");
    });
    const hadFocus = root.contains(document.activeElement);
    root.dataset.state = state;
    root.dataset.question = question?.id ?? "";
    if (hadFocus) (state === "refused" ? find("next") : find("question")).focus({ preventScroll: true });
  }

  const caption = (i, text) => { candidates[i].querySelector(".jd-caption").textContent = text; };

  function choose(choice) {
    if (root.dataset.state !== "question") return;
    root.dataset.state = "chosen";
    candidates.forEach((button, i) => {
      button.disabled = true;
      button.classList.toggle("jd-chosen", i === choice);
    });
    find("said").textContent = "The metrics are judging…";
    trigger("chosen", { id: question.id, choice, ...voteOf() });
  }

  function next() {
    if (!["answered", "refused"].includes(root.dataset.state)) return;
    root.dataset.state = "asked";
    trigger("next");
  }

  async function reveal(verdict) {
    const strip = await decodePng({ url: verdict.pushed });
    if (verdict.id !== question?.id) return;
    const { chosen, nearer, attacked } = verdict;
    const certain = nearer !== null;
    const describe = (i) => `${LETTERS[i]}: ${verdict.words[i]}${certain && i === nearer ? " ✓" : ""}`;
    candidates.forEach((button, i) => {
      button.classList.toggle("jd-chosen", i === chosen);
      if (certain) button.classList.add(i === nearer ? "jd-right" : "jd-wrong");
      button.removeAttribute("aria-label");  // the caption says what it is now
      caption(i, describe(i));
    });
    find("said").classList.toggle("jd-right", certain && chosen === nearer);
    find("said").classList.toggle("jd-wrong", certain && chosen !== nearer);
    find("said").replaceChildren(...answer(verdict));
    const original = pictures[1 + attacked];
    const cards = rowsOf(strip, verdict.metrics.length).map((image, k) => {
      const metric = verdict.metrics[k];
      return newCard(find("template"), verdict, metric, original, image, (on) => {
        paint(canvases[attacked], on ? image : original);
        caption(attacked, on ? `${LETTERS[attacked]} attacked against ${metric.title}` : describe(attacked));
      });
    });
    find("verdicts").replaceChildren(...cards);
    root.dataset.state = "answered";
    find("next").focus({ preventScroll: true });
  }

  function press(event) {
    if (!root.isConnected) return document.removeEventListener("keydown", press);
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=dialog]");
    const modified = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (root.offsetParent === null || typing || modified) return;
    const key = event.key.toLowerCase();
    if (key === "arrowleft" || key === "a") choose(0);
    else if (key === "arrowright" || key === "b") choose(1);
    else if (key === "n" || (key === "enter" && !event.target.closest?.("button:not([role=tab]), a, summary"))) next();
    else return;
    event.preventDefault();
  }

  for (const [i, button] of candidates.entries()) button.addEventListener("click", () => choose(i));
  find("next").addEventListener("click", next);
  document.addEventListener("keydown", press);
  watch("value", () => receive(props.value));
  reset("empty");
  receive(props.value);
}

// What the stage says of the visitor's choice.
function answer({ chosen, nearer, words }) {
  if (nearer === null) {
    return [bold(`You say ${LETTERS[chosen]}. `), `${words[0]} or ${words[1]}: nobody has measured which is nearer. `
      + "What counts here is who agrees with you."];
  }
  return [bold(chosen === nearer ? "Right! ✓ " : "Not this time. ✗ "),
    `${LETTERS[nearer]} is nearer by construction: ${words[nearer]} against ${words[1 - nearer]}.`];
}
