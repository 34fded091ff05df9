// The panel of the story, at the foot of the window: one number, one sentence, and where the story goes on. Everything
// in it is put in as text.

import { make } from "../viewer/dom.js";
import { english } from "../viewer/language.js";

const button = (text, className, onclick, more = {}) =>
  make("button", { type: "button", textContent: text, className, onclick, ...more });

// `act` has what the buttons do: next, back, close, go(scene), predict(choice or number), tryIt, open(file), agree and
// refuse.
export function newPanel(act, formatAddress) {
  const part = (tag, name, more = {}) => make(tag, { className: `story-${name}`, ...more });
  const number = part("b", "figure"), unit = part("span", "unit");
  const place = part("p", "place"), sentence = part("p", "sentence");
  const ask = part("div", "ask"), says = part("div", "says", { ariaLive: "polite" }), task = part("div", "task");
  const answer = part("p", "answer"), reveal = part("p", "reveal"), taskText = part("p", "sentence");
  const taskSays = part("p", "task-says", { ariaLive: "polite" }), trouble = part("p", "trouble", { role: "alert" });
  says.append(answer, reveal);
  task.append(taskText, taskSays);
  const dots = part("div", "dots", { role: "group", ariaLabel: "Scenes" });
  const tryIt = button("Now try it", "story-button story-try", act.tryIt);
  const back = button("Back", "story-button", act.back);
  const next = button("", "story-button story-next", act.next);
  const close = button("✕", "story-button story-close", act.close, { ariaLabel: "Close the lesson" });
  const file = make("input", { type: "file", accept: ".json,application/json", ariaLabel: "Open a story file" });
  file.onchange = () => { if (file.files[0]) act.open(file.files[0]); file.value = ""; };
  const opener = make("label", { className: "story-link" }, "Open a story file", file);
  const write = make("a", { className: "story-link", href: formatAddress, target: "_blank", rel: "noopener",
    textContent: "Write your own" });
  const root = make("section", { className: "story", tabIndex: -1 },
    make("div", { className: "story-number" }, number, unit),
    make("div", { className: "story-body" }, place, sentence, ask, says, task, trouble),
    make("nav", { className: "story-nav", ariaLabel: "Lesson" }, close,
      make("div", { className: "story-moves" }, tryIt, back, next), dots,
      make("p", { className: "story-more" }, opener, write)));
  root.setAttribute("role", "dialog");
  root.setAttribute("aria-label", "Lesson");
  sentence.setAttribute("aria-live", "polite");

  const only = (shown) => { for (const each of [ask, says, task]) each.hidden = each !== shown; };

  function writeDots(count, now) {
    if (dots.childElementCount !== count)
      dots.replaceChildren(...Array.from({ length: count }, (_, i) =>
        button("", "story-dot", () => act.go(i + 1), { ariaLabel: `Scene ${i + 1}` })));
    for (const [i, dot] of [...dots.children].entries()) {
      if (i + 1 === now) dot.setAttribute("aria-current", "step");
      else dot.removeAttribute("aria-current");
    }
  }

  // A scene before its reveal, with its texts filled in; `name` is the story's, and `question` an `ask`, or null.
  function scene({ name, title, text, question, count, now }) {
    trouble.textContent = "";
    root.setAttribute("aria-label", `${name}, scene ${now} of ${count}: ${title}`);
    place.textContent = `${now} of ${count} · ${title}`;
    sentence.textContent = text;
    sentence.hidden = false;
    [number.textContent, unit.textContent, tryIt.hidden] = ["?", "", true];
    next.hidden = false;
    back.disabled = now === 1;
    writeDots(count, now);
    root.dataset.state = "asks";
    ask.replaceChildren();
    if (question) writeQuestion(question);
    only(ask);
    next.textContent = question ? "Show" : "Next";
  }

  function writeQuestion({ question, choices, slider }) {
    const text = make("p", { className: "story-question", textContent: question });
    if (choices) {
      ask.append(text, make("div", { className: "story-choices" }, ...choices.map((choice, i) =>
        button(choice.text, "story-choice", () => act.predict(choice), { title: `Key ${i + 1}` }))));
      return;
    }
    const { from, to, step, unit: of } = slider;
    const value = String(from + step * Math.round((to - from) / step / 2));
    const input = make("input", { type: "range", min: from, max: to, step, value, ariaLabel: question });
    const output = make("output");
    input.oninput = () => { output.textContent = of ? `${input.value} ${of}` : input.value; };
    input.oninput();
    input.onkeydown = (event) => { if (event.key === "Enter") act.predict(Number(input.value)); };
    ask.append(text, make("div", { className: "story-slider" }, input, output,
      button("That is my guess", "story-choice", () => act.predict(Number(input.value)))));
  }

  function revealed({ figure, of, said, text, task: hasTask, last }) {
    figureIs(figure);
    [unit.textContent, answer.textContent, reveal.textContent] = [of, said, text];
    answer.hidden = !said;
    tryIt.hidden = !hasTask;
    next.textContent = last ? "Close" : "Next";
    root.dataset.state = "told";
    only(says);
  }

  const figureIs = (text) => { if (english(number) !== text) number.textContent = text; };

  // `best` is what the number says of it, {figure, of}.
  function trying({ text, says: result, best, reached, last }) {
    root.dataset.state = "tries";
    sentence.hidden = true;
    taskText.textContent = text;
    figureIs(best.figure);
    unit.textContent = best.of;
    if (english(taskSays) !== result) taskSays.textContent = result;
    taskSays.classList.toggle("story-reached", reached);
    [tryIt.hidden, back.disabled] = [true, false];
    next.textContent = last ? "Close" : "Next";
    only(task);
  }

  // Before a stranger's story is fetched.
  function offer(url) {
    root.dataset.state = "offers";
    [number.textContent, unit.textContent, tryIt.hidden, next.hidden] = ["", "", true, true];
    place.textContent = "A story from elsewhere";
    sentence.textContent = `This link opens a story from ${url.host}, which is not part of this page: ${url.href}`;
    sentence.hidden = false;
    back.disabled = true;
    ask.replaceChildren(make("div", { className: "story-choices" },
      button("Fetch and open it", "story-choice", act.agree),
      button("The lesson instead", "story-choice", act.refuse)));
    writeDots(0, 0);
    only(ask);
  }

  return { root, scene, revealed, figureIs, trying, offer, say(text) { trouble.textContent = text; },
    get choices() { return [...ask.querySelectorAll(".story-choices .story-choice")]; } };
}
