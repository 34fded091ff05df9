// The stage of "You be the judge". A question comes as one strip of three pictures; what the metrics say comes only after the
// choice. `element`, `props`, `trigger` and `watch` come from Gradio.

const LETTERS = ["A", "B"];
const PUSHED_TO = 100;              // how far from grey, in levels, the amplified change reaches

function newStage(element, props, trigger, watch) {
  const root = element.querySelector(".jd");
  const find = (name) => root.querySelector(`.jd-${name}`);
  const candidates = [...root.querySelectorAll(".jd-candidate")];
  const canvases = ["0", "1"].map((choice) => root.querySelector(`[data-choice="${choice}"] canvas`));
  let question = null;              // the message on show, and its pictures as ImageData: reference, A, B
  let pictures = [];

  async function receive(message) {
    if (!message) return;
    if (message.kind === "verdict") return message.id === question?.id && reveal(message);
    question = message.kind === "question" ? message : null;
    if (question) {
      const strip = await decodePng({ url: message.pictures });
      if (question !== message) return;       // another one came meanwhile
      pictures = cut(strip, 3);
    }
    reset(message.kind);
  }

  function reset(state) {
    find("verdicts").replaceChildren();
    find("said").className = "jd-said";
    find("said").textContent = state === "refused" ? "There is no question to show: the line beside says why." : "";
    if (state === "waiting") find("said").textContent = "Making a question of your picture…";
    if (state === "question") {
      [find("reference").querySelector("canvas"), ...canvases].forEach((canvas, i) => paint(canvas, pictures[i]));
      find("said").textContent = "← or A, → or B, or touch a picture.";
    }
    candidates.forEach((button, i) => {
      button.className = "jd-picture jd-candidate";
      button.disabled = state !== "question";
      button.setAttribute("aria-label", `candidate ${LETTERS[i]} is nearer`);
      caption(i, i ? "B is nearer →" : "← A is nearer");
    });
    const moved = root.contains(document.activeElement);
    root.dataset.state = state;
    root.dataset.question = question?.id ?? "";
    if (moved) (state === "refused" ? find("next") : find("question")).focus({ preventScroll: true });
  }

  const caption = (i, words) => { candidates[i].querySelector(".jd-caption").textContent = words; };

  function choose(choice) {
    if (root.dataset.state !== "question") return;
    root.dataset.state = "chosen";
    candidates.forEach((button, i) => {
      button.disabled = true;
      button.classList.toggle("jd-chosen", i === choice);
    });
    find("said").textContent = "The metrics are judging…";
    trigger("chosen", { id: question.id, choice });
  }

  function next() {
    if (!["answered", "refused"].includes(root.dataset.state)) return;
    root.dataset.state = "asked";
    trigger("next");
  }

  async function reveal(verdict) {
    const strip = await decodePng({ url: verdict.pushed });
    if (verdict.id !== question?.id) return;
    const pushed = split(strip, verdict.metrics.length);
    const { chosen, nearer, words } = verdict;
    const known = nearer !== null;
    candidates.forEach((button, i) => {
      button.classList.toggle("jd-chosen", i === chosen);
      if (known) button.classList.add(i === nearer ? "jd-right" : "jd-wrong");
      caption(i, `${LETTERS[i]}: ${words[i]}${known && i === nearer ? " ✓" : ""}`);
    });
    find("said").classList.toggle("jd-right", known && chosen === nearer);
    find("said").classList.toggle("jd-wrong", known && chosen !== nearer);
    find("said").replaceChildren(...sentence(verdict));
    find("verdicts").replaceChildren(...verdict.metrics.map((metric, k) => card(verdict, metric, pushed[k])));
    root.dataset.state = "answered";
    find("next").focus({ preventScroll: true });
  }

  function sentence({ chosen, nearer, words }) {
    if (nearer === null) {
      return [bold(`You say ${LETTERS[chosen]}. `), `${words[0]} or ${words[1]}: nobody has measured which is nearer. What counts `
        + "here is who agrees with you."];
    }
    const told = `${LETTERS[nearer]} is nearer by construction: ${words[nearer]} against ${words[1 - nearer]}.`;
    return [bold(chosen === nearer ? "Right! ✓ " : "Not this time. ✗ "), told];
  }

  function card(verdict, metric, pushed) {
    const node = find("template").content.cloneNode(true).firstElementChild;
    const part = (name) => node.querySelector(`.jd-${name}`);
    const letter = LETTERS[verdict.attacked];
    const [before, after] = metric.choices;
    node.style.setProperty("--raw", metric.color);
    node.querySelector("h3").textContent = metric.title;

    const turned = before !== after;
    part("choice").append("says ", bold(LETTERS[before]), mark(verdict, before), "; attacked, says ", bold(LETTERS[after]),
      mark(verdict, after), " ", tag(turned ? "jd-turned" : "jd-holds", turned ? "turned" : "holds"));

    const way = before === verdict.attacked ? "pushed away" : "pulled nearer";
    const swap = part("swap");
    paint(swap.querySelector("canvas"), pushed);
    swap.querySelector("canvas").ariaLabel = `candidate ${letter} attacked against ${metric.title}`;
    swap.querySelector("span").textContent = `${letter} attacked, ${way}. Point at it: it takes ${letter}'s place.`;
    const show = (on) => {
      paint(canvases[verdict.attacked], on ? pushed : pictures[1 + verdict.attacked]);
      caption(verdict.attacked, on ? `${letter} attacked against ${metric.title}` : `${letter}: ${verdict.words[verdict.attacked]}`
        + (verdict.nearer === verdict.attacked ? " ✓" : ""));
      swap.setAttribute("aria-pressed", on);
    };
    swap.addEventListener("pointerenter", () => show(true));
    swap.addEventListener("pointerleave", () => show(false));
    swap.addEventListener("focus", () => show(true));
    swap.addEventListener("blur", () => show(false));

    const factor = Math.max(1, Math.round(PUSHED_TO / verdict.eps));
    paint(part("change").querySelector("canvas"), amplified(pushed, pictures[1 + verdict.attacked], factor));
    part("change").querySelector("canvas").ariaLabel = `what the attack changed, amplified ${factor} times around grey`;
    part("change").querySelector("span").textContent = `its change ×${factor}, within ±${verdict.eps}/255`;

    bars(part("distances"), verdict, metric);
    part("smallest").append("smallest eps found to turn it, before rounding to 8 bits: ",
      ...(metric.smallest === null ? [bold("none"), ` (not flipped up to ${verdict.most}/255)`] : [bold(`${metric.smallest}/255`)]));
    return node;
  }

  function mark({ chosen, nearer }, choice) {
    if (nearer !== null) return choice === nearer ? " ✓" : " ✗";
    return choice === chosen ? " (as you)" : " (not as you)";
  }

  function bars(place, verdict, metric) {
    const longest = Math.max(...metric.distances.flat());
    metric.distances.forEach((pair, after) => {
      const heading = document.createElement("h4");
      heading.textContent = after ? `distance with ${LETTERS[verdict.attacked]} attacked` : "distance to the reference";
      place.append(heading);
      pair.forEach((distance, i) => {
        const fill = tag("jd-fill", "");
        fill.style.width = `${100 * distance / longest}%`;
        const letter = tag(i === metric.choices[after] ? "jd-nearer" : "", LETTERS[i]);
        place.append(letter, fill, tag("", Number(distance.toPrecision(3)).toFixed(3)));
      });
    });
  }

  function press(event) {
    if (!root.isConnected) return document.removeEventListener("keydown", press);
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=dialog]");
    if (root.offsetParent === null || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    if (key === "arrowleft" || key === "a") choose(0);
    else if (key === "arrowright" || key === "b") choose(1);
    else if (key === "n" || (key === "enter" && !event.target.closest?.("button:not([role=tab]), a, summary"))) next();
    else return;
    event.preventDefault();
  }

  candidates.forEach((button, i) => button.addEventListener("click", () => choose(i)));
  find("next").addEventListener("click", next);
  document.addEventListener("keydown", press);
  watch("value", () => receive(props.value));
  reset("empty");
  receive(props.value);
}

// ---- pixels

function piece(data, width, height, left, top, across) {
  const found = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    const at = 4 * ((top + y) * across + left);
    found.data.set(data.subarray(at, at + 4 * width), 4 * y * width);
  }
  return found;
}

// Pictures side by side, and one below the other.
function cut({ data, width, height }, count) {
  return Array.from({ length: count }, (_, i) => piece(data, width / count, height, i * width / count, 0, width));
}

function split({ data, width, height }, count) {
  return Array.from({ length: count }, (_, i) => piece(data, width, height / count, 0, i * height / count, width));
}

function paint(canvas, pixels) {
  Object.assign(canvas, { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function amplified(pushed, base, factor) {
  const found = new ImageData(pushed.width, pushed.height);
  for (let i = 0; i < found.data.length; i++) {
    found.data[i] = i % 4 === 3 ? 255 : 128 + factor * (pushed.data[i] - base.data[i]);
  }
  return found;
}

// ---- markup

function tag(name, text) {
  const node = document.createElement("span");
  node.className = name;
  node.textContent = text;
  return node;
}

function bold(text) {
  const node = document.createElement("b");
  node.textContent = text;
  return node;
}

newStage(element, props, trigger, watch);
