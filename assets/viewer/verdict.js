// What a classifier says of two attacks on it: the verdict in words, every class's probability, the true class's over the
// steps, and what a lecturer would say of both. Only for traces with verdicts; see rlpips/fooling.py.

const isFooling = (model) => Boolean(model.meta.verdicts);

const attackOf = (model, lane) => model.meta.receipt.attacks[lane];

// A probability close to certainty must not look like certainty.
function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0.995 && share < 1) return ">\u00a099\u00a0%";
  if (share < 0.005 && share > 0) return "<\u00a01\u00a0%";
  return `${Math.round(100 * share)}\u00a0%`;
}

// The class with the largest probability.
const top = (shares) => shares.indexOf(Math.max(...shares));

const className = (model, index) => model.meta.verdicts.classes[index];

const said = (model, shares) => (shares ? `${className(model, top(shares))} ${percent(Math.max(...shares))}` : "–");

// Probabilities of a lane's float picture at a step, of its last known picture in 8 bits; null where they are missing.
const shares = (model, lane, step) => reading(model, "probabilities", step, lane);

function shares8bit(model, lane, step) {
  const frame = frameAt(model, lane, step);
  return frame?.probabilities_8bit?.[frame.lanes.indexOf(lane)] ?? null;
}

// Right before the attack? An attack cannot turn what was wrong from the start.
const rightAtFirst = (model) => top(model.meta.verdicts.clean) === model.meta.verdicts.label;

// The label as the visitor knows it: given with a sample, else the classifier's own first verdict.
const labelWords = (model) =>
  (model.meta.receipt.label_from === "classifier" ? "its verdict before the attack" : "the true class");

// ---- one column's verdict

function newVerdict(model) {
  const { classes, label } = model.meta.verdicts;
  const parts = { turn: make("p", { className: "rv-turn" }), outcome: make("p", { className: "rv-outcome" }) };
  const list = make("ul", { className: "rv-classes" });
  list.setAttribute("aria-label", "Probability of each class");
  parts.bars = classes.map((name, k) => {
    const [bar, value] = [make("i"), make("b")];
    const item = make("li", { title: k === label ? `${name}: ${labelWords(model)}` : name },
      make("span", { textContent: name }), make("u", {}, bar), value);
    item.classList.toggle("rv-true", k === label);
    list.append(item);
    return { item, bar, value };
  });
  parts.path = svgNode("path", {});
  parts.cursor = svgNode("path", { class: "rv-spark-cursor" });
  const spark = svgNode("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    parts.path, parts.cursor);
  parts.caption = make("figcaption");
  parts.root = make("section", { className: "rv-verdict" }, parts.turn, parts.outcome, list,
    make("figure", { className: "rv-spark" }, parts.caption, spark));
  return parts;
}

function writeVerdict(parts, model, view, lane) {
  const { clean, label } = model.meta.verdicts;
  const now = shares(model, lane, view.step) ?? clean;
  const verdict = top(now);
  parts.turn.replaceChildren(said(model, clean), " → ", make("b", { textContent: said(model, now) }));
  parts.outcome.textContent = outcome(model, verdict, shares8bit(model, lane, view.step));
  parts.root.dataset.fooled = verdict !== label;
  parts.bars.forEach(({ item, bar, value }, k) => {
    bar.style.transform = `scaleX(${now[k]})`;
    value.textContent = percent(now[k]);
    item.classList.toggle("rv-top", k === verdict);
  });
  drawSpark(parts, model, view, lane);
}

function outcome(model, verdict, exact) {
  const { label } = model.meta.verdicts;
  const name = className(model, verdict);
  const rounded = exact && top(exact) !== verdict ? ` In 8 bits: ${className(model, top(exact))}.` : "";
  if (!rightAtFirst(model)) return `Wrong before the attack already.${rounded}`;
  return `${verdict === label ? "Not fooled" : "Fooled"}: it ${verdict === label ? "still says" : "says"} ${name}.${rounded}`;
}

// The probability of the true class, 0 at the bottom and 1 at the top, over the steps made so far.
function drawSpark(parts, model, view, lane) {
  const { label } = model.meta.verdicts;
  const across = (step) => (100 * step) / Math.max(1, model.meta.steps);
  const values = model.curve.distance.map((_, step) => shares(model, lane, step)?.[label] ?? null);
  const d = values.map((p, step) => (p === null ? ""
    : `${(values[step - 1] ?? null) === null ? "M" : "L"}${across(step).toFixed(2)} ${(98 - 96 * p).toFixed(2)}`)).join("");
  if (parts.path.getAttribute("d") !== d) parts.path.setAttribute("d", d);
  parts.cursor.setAttribute("d", `M${across(view.step)} 0V100`);
  parts.caption.textContent = `P(${className(model, label)}) over the steps`;
}

// ---- both attacks together

// What a lecturer would say of this step.
function lecture(model, step) {
  const lanes = model.meta.lanes.map((_, lane) => lane);
  const verdicts = lanes.map((lane) => shares(model, lane, step)).map((p) => (p ? top(p) : null));
  if (verdicts.includes(null)) return "";
  return `${whatTheyDid(model, verdicts)} ${whatTheMetricsSay(model, lanes, step)}`;
}

function whatTheyDid(model, verdicts) {
  const { label, clean } = model.meta.verdicts;
  const name = (index) => className(model, index);
  const a = (index) => `${/^[aeiou]/.test(name(index)) ? "an" : "a"} ${name(index)}`;
  const titles = verdicts.map((_, lane) => attackOf(model, lane).title);
  if (!rightAtFirst(model))
    return `The classifier took this ${name(label)} for ${a(top(clean))} before any attack, so there was nothing to turn.`;
  const turned = verdicts.map((verdict) => verdict !== label);
  if (turned.every((each) => !each)) return `Neither attack fools the classifier: it still says ${name(label)} to both.`;
  if (turned.every(Boolean))
    return verdicts[0] === verdicts[1]
      ? `Both attacks turn the ${name(label)} into ${a(verdicts[0])}.`
      : `${titles[0]} turns the ${name(label)} into ${a(verdicts[0])}, ${titles[1]} into ${a(verdicts[1])}.`;
  const by = turned.indexOf(true);
  return `${titles[by]} turns the ${name(label)} into ${a(verdicts[by])}; ${titles[1 - by]} fails: still ${a(label)}.`;
}

function whatTheMetricsSay(model, lanes, step) {
  const each = model.meta.metrics.map((_, m) => {
    const values = lanes.map((lane) => number(reading(model, "distance", step, lane, m)));
    return `${metricTitle(model, m)} calls ${m ? "them" : "the first change"} ${values.join(m ? " and " : ", the second ")}`;
  });
  return `${each.join("; ")}.`;
}

// ---- what the other parts of the viewer ask for

// The unit of an attack's bound is the root of its metric's distance; plain norms are given as papers do.
function boundWords(model, lane) {
  const { metric, name, bound } = attackOf(model, lane);
  if (metric) return `√${model.meta.titles[metric]} ≤ ${shortBound(bound)}`;
  return name.endsWith("linf") ? `≤ ${shortBound(255 * bound)}/255` : `≤ ${shortBound(bound)}`;
}

const shortBound = (bound) => String(Number(bound.toPrecision(3)));

// Where the curves may go: an attack's own distance up to the square of its bound.
function boundMarks(model) {
  const marks = [];
  model.meta.lanes.forEach((_, lane) => {
    const { metric, bound, title } = attackOf(model, lane);
    const m = model.meta.metrics.indexOf(metric);
    if (m < 0) return;
    const same = marks.find((mark) => mark.m === m && mark.distance === bound ** 2);
    if (same) same.words += ` and ${title}`;
    else marks.push({ m, distance: bound ** 2, words: `bound of ${title}` });
  });
  return marks;
}

// Rows of the table, as in numbers.js: [name, its label, cell text per lane].
const verdictRows = (model, view) => {
  const { label } = model.meta.verdicts;
  const both = (write) => (lane) => [shares, shares8bit].map((read) => write(read(model, lane, view.step))).join(" · ");
  return [
    ["says", "float · 8 bits", both((p) => said(model, p))],
    [`P(${className(model, label)})`, "float · 8 bits", both((p) => percent(p?.[label]))],
  ];
};

// How large these attacks' perturbations are, as n/255, or, while they run, will probably be: it decides the amplification.
function expectedSize(model) {
  const { width, height, receipt } = model.meta;
  const decibels = (LAST(model.frames)?.psnr ?? []).filter(Number.isFinite);
  if (model.state !== "running" && decibels.length) return 3 * 255 * 10 ** (-Math.min(...decibels) / 20);
  return Math.max(...receipt.attacks.map(({ metric, name, bound }) => {
    if (metric) return 50 * bound;                // a bound of 0.5 lets most pixels move by some 25/255
    return 255 * (name.endsWith("linf") ? bound : (3 * bound) / Math.sqrt(3 * width * height));
  }));
}
