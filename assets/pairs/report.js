// The report of many pairs: everything is on the page, nothing is fetched.
// Names come from files and are only ever set as text.

const data = JSON.parse(document.getElementById("data").textContent);
const { metrics, eye, columns, texts, ladder, pictures } = data;
const count = columns.pair.length;
const [first, second] = metrics;
const ruled = Boolean(ladder.length);
const FURTHER = 0, NEARER = 100, PAGE = 25;
const tones = ["--first", "--both", "--neither", "--second"];
const verdicts = second
  ? [`${first.title} only`, "both", "neither", `${second.title} only`]
  : [first.title, null, "neither", null];

const state = {
  threshold: data.threshold,
  on: new Set([0, 1, 2, 3]), // the verdicts that are shown
  hard: false,
  find: "",
  sort: null,
  down: true,
  page: 0,
  chosen: -1,
};
const verdict = new Uint8Array(count);

const $ = (selector) => document.querySelector(selector);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const number = (value, digits = 3) =>
  value === null ? "∞" : Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(digits)));

function words(name, row) {
  const quality = columns[`${name}_jpeg`][row];
  if (quality === null) return "–";   // the model of the eye was not asked
  if (columns.linf[row] === 0) return "identical";
  return quality === FURTHER ? "beyond quality 1" : quality === NEARER ? "above quality 88" : `quality ${quality}`;
}

function reading(name, row) {          // in a sentence
  const quality = columns[`${name}_jpeg`][row];
  if (columns.linf[row] === 0) return "identical";
  return quality === FURTHER ? "further than JPEG quality 1" : quality === NEARER ? "nearer than JPEG quality 88"
    : `as far as JPEG quality ${quality}`;
}

const text = (column, row) => texts[columns[column][row]];
const percent = (share) => `${number(100 * share)} %`;

function judge() {
  const one = columns[`${first.name}_jpeg`], other = second && columns[`${second.name}_jpeg`];
  for (let row = 0; row < count; row++) {
    const fooled = one[row] <= state.threshold, too = second && other[row] <= state.threshold;
    verdict[row] = fooled ? (too ? 1 : 0) : too ? 3 : 2;
  }
}

// The table's columns: heading, what to sort by, what to show.
const heads = [
  { title: "pair", by: (row) => columns.pair[row], show: (row) => columns.pair[row], kind: "text name" },
];
if (ruled) {
  const fools = (row) => verdicts[verdict[row]];
  heads.push({ title: "fools", by: (row) => verdict[row], show: fools, kind: "text verdict" });
  for (const { name, title } of metrics) {
    const place = columns[`${name}_place`], as = (row) => words(name, row);
    heads.push({ title: `${title}: as far as JPEG`, by: (row) => place[row], show: as });
  }
}
if (eye) {
  const { name, title } = eye, as = (row) => words(name, row);
  heads.push({ title: `${title}: as far as JPEG`, by: (row) => columns[name][row] ?? -1, show: as });
}
for (const { name, title } of eye ? [...metrics, eye] : metrics) {
  const distance = (row) => columns[name][row];
  const show = (row) => (distance(row) === null ? "–" : number(distance(row)));
  heads.push({ title: `${title}: distance`, by: (row) => distance(row) ?? -1, show });
}
heads.push(
  { title: "l∞ /255", by: (row) => columns.linf[row], show: (row) => number(255 * columns.linf[row]) },
  { title: "l2", by: (row) => columns.l2[row], show: (row) => number(columns.l2[row]) },
  { title: "PSNR dB", by: (row) => columns.psnr[row] ?? Infinity, show: (row) => number(columns.psnr[row]) },
  { title: "SSIM", by: (row) => columns.ssim[row], show: (row) => columns.ssim[row].toFixed(3) },
  { title: "changed pixels", by: (row) => columns.changed[row], show: (row) => percent(columns.changed[row]) },
);
for (const { name, title } of metrics) {
  const half = columns[`${name}_half`], share = columns[`${name}_layer_share`];
  if (!half) continue;
  const layer = (row) => text(`${name}_layer`, row);
  heads.push(
    { title: `${title}: channels for half`, by: (row) => half[row], show: (row) => String(half[row]) },
    {
      title: `${title}: heaviest layer`,
      by: layer,
      show: (row) => (layer(row) ? `${layer(row)} ${percent(share[row])}` : "–"),
      kind: "text",
    },
  );
}
heads.push({ title: "note", by: note, show: note, kind: "text note" });

function note(row) {
  const easy = text("easy_to_see", row);
  return [easy && `Easy to see: ${easy}.`, text("notes", row)].filter(Boolean).join(" ");
}

function found() {
  const wanted = state.find.toLowerCase();
  const rows = [];
  for (let row = 0; row < count; row++) {
    if (ruled && !state.on.has(verdict[row])) continue;
    if (state.hard && text("easy_to_see", row)) continue;
    if (wanted && !`${columns.pair[row]} ${note(row)}`.toLowerCase().includes(wanted)) continue;
    rows.push(row);
  }
  if (state.sort) {
    const keys = new Map(rows.map((row) => [row, state.sort.by(row)]));
    const sign = state.down ? -1 : 1;
    rows.sort((a, b) => {
      const one = keys.get(a), other = keys.get(b);
      return sign * (one < other ? -1 : one > other ? 1 : 0) || a - b;
    });
  }
  return rows;
}

let rows = [];

function drawTable() {
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  state.page = Math.min(state.page, pages - 1);
  $("#found").textContent = `${rows.length} of ${count} pairs`;
  $("#page").textContent = `${state.page + 1} of ${pages}`;
  $("#back").disabled = state.page === 0;
  $("#on").disabled = state.page === pages - 1;
  const lines = rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map((row) => {
    const line = element("tr", { className: row === state.chosen ? "on" : "" });
    line.dataset.verdict = verdict[row];
    for (const { show, kind = "" } of heads) {
      const cell = element("td", { className: kind });
      const shown = show(row);
      if (kind.endsWith("name")) {
        const onclick = () => choose(row, true);
        cell.title = shown;
        cell.append(element("button", { type: "button", textContent: shown, onclick }));
      } else cell.textContent = shown;
      line.append(cell);
    }
    return line;
  });
  $("#rows tbody").replaceChildren(...lines);
}

function drawHeads() {
  $("#rows thead").replaceChildren(element("tr", {}, ...heads.map((head) => {
    const on = state.sort === head;
    const ariaSort = !on ? "none" : state.down ? "descending" : "ascending";
    const cell = element("th", { className: head.kind ?? "", scope: "col", ariaSort });
    const arrow = !on ? "" : state.down ? " ▾" : " ▴";
    cell.append(element("button", { type: "button", textContent: head.title + arrow,
      onclick: () => {
        state.down = on ? !state.down : !(head.kind ?? "").startsWith("text");
        Object.assign(state, { sort: head, page: 0 });
        drawHeads();
        refresh();
      } }));
    return cell;
  })));
}

function drawCounts() {
  const counts = [0, 0, 0, 0];
  let easy = 0;
  for (let row = 0; row < count; row++) {
    counts[verdict[row]] += 1;
    easy += verdict[row] === 0 && Boolean(text("easy_to_see", row));
  }
  const and = second ? ` and not ${second.title}` : "";
  $("#headline").textContent = ruled
    ? `Of ${count} pairs, ${counts[0]} fool ${first.title}${and}${easy ? `; ${easy} of these are easy to see` : ""}.`
    : `${count} pairs, distances alone.`;
  $("#threshold output").textContent = state.threshold;
  $("#counts").replaceChildren(...verdicts.flatMap((title, place) => {
    if (title === null) return [];
    const on = state.on.has(place);
    const card = element("button", { type: "button", ariaPressed: String(on), title: "Show or hide these pairs",
      onclick: () => {
        if (on) state.on.delete(place);
        else state.on.add(place);
        state.page = 0;
        drawCounts();
        refresh();
      } }, element("b", { textContent: counts[place] }), `fool ${title}`);
    card.dataset.verdict = place;
    return [card];
  }));
}

function figure(source, caption) {
  const image = element("img", { src: source, alt: caption });
  return element("figure", {}, image, element("figcaption", { textContent: caption }));
}

function pair(row) {
  const made = element("div", { className: "pair" });
  made.dataset.verdict = verdict[row];
  made.append(element("h3", { textContent: columns.pair[row] }));
  const asked = eye && columns.eye[row] !== null ? [...metrics, eye] : metrics;
  const said = asked.map(({ name, title }) =>
    ruled || name === "eye" ? `${title} ${number(columns[name][row])}, ${reading(name, row)}`
      : `${title} ${number(columns[name][row])}`);
  const fools = ruled ? `Fools ${verdicts[verdict[row]]}. ` : "";
  made.append(element("p", { textContent: `${fools}${said.join("; ")}.` }));
  made.append(element("p", { textContent:
    `${text("size", row)} pixels, l∞ ${number(255 * columns.linf[row])}/255, ` +
    `PSNR ${number(columns.psnr[row])} dB, SSIM ${columns.ssim[row].toFixed(3)}. ${note(row)}` }));
  const images = pictures[row];
  if (images) {
    const shown = element("div", { className: "pictures" });
    shown.append(figure(images.clean, "original"), figure(images.attacked, "attacked"));
    shown.append(figure(images.change, `change × ${images.times}`));
    for (const { title, source } of images.maps) shown.append(figure(source, `where ${title} sees it`));
    made.append(shown);
    if (images.reduced) made.append(element("p", { textContent: "The pictures are shown smaller than they are." }));
  }
  return made;
}

function choose(row, scroll) {
  state.chosen = row;
  const shown = $("#shown");
  shown.hidden = false;
  shown.dataset.verdict = verdict[row];
  const content = pair(row);
  if (!pictures[row]) content.append(element("p", { textContent: "The pictures of this pair are not in the report." }));
  shown.replaceChildren(content);
  if (scroll) shown.scrollIntoView({ block: "nearest" });
  drawTable();
  drawScatter();
}

// The scatter: places on the two rulers, entry by entry, mild to strong. A point lies by the entry it is read as.
const entries = ladder.length;
const canvas = $("#scatter canvas");
const MARGIN = { left: 58, bottom: 46, top: 8, right: 8 };
let scale = null;

function drawScatter() {
  if (!ruled || !second) return;
  const side = canvas.clientWidth, ratio = devicePixelRatio;
  canvas.width = canvas.height = side * ratio;
  const ink = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const tone = (name) => style.getPropertyValue(name);
  ink.scale(ratio, ratio);
  const low = -1.2, span = entries + 1.4;
  scale = {
    x: (place) => MARGIN.left + ((place - low) / span) * (side - MARGIN.left - MARGIN.right),
    y: (place) => side - MARGIN.bottom - ((place - low) / span) * (side - MARGIN.top - MARGIN.bottom),
  };
  const right = side - MARGIN.right, bottom = side - MARGIN.bottom;
  ink.font = "12px system-ui, sans-serif";
  ink.fillStyle = tone("--soft");
  ink.strokeStyle = tone("--line");
  const within = [3, 7, 11, 15].map((place) => [place, ladder[place]]);
  const ticks = [[-0.75, "nearer"], ...within, [entries, "beyond"]];
  ticks.forEach(([place, label], index) => {
    ink.beginPath();
    ink.moveTo(scale.x(place), bottom);
    ink.lineTo(scale.x(place), bottom + 4);
    ink.moveTo(MARGIN.left, scale.y(place));
    ink.lineTo(MARGIN.left - 4, scale.y(place));
    ink.stroke();
    ink.textAlign = index === ticks.length - 1 ? "right" : "center";
    ink.fillText(label, index === ticks.length - 1 ? right : scale.x(place), bottom + 17);
    ink.textAlign = "right";
    ink.fillText(label, MARGIN.left - 7, scale.y(place) + 4);
  });
  ink.strokeRect(MARGIN.left, MARGIN.top, right - MARGIN.left, bottom - MARGIN.top);
  ink.textAlign = "center";
  ink.fillStyle = tone("--ink");
  ink.fillText(`${second.title}: as far as JPEG quality`, (MARGIN.left + right) / 2, side - 8);
  ink.save();
  ink.translate(11, (MARGIN.top + bottom) / 2);
  ink.rotate(-Math.PI / 2);
  ink.fillText(`${first.title}: as far as JPEG quality`, 0, 0);
  ink.restore();
  const at = ladder.findIndex((quality) => quality <= state.threshold);
  const line = (at < 0 ? entries : at) - 0.5;
  ink.setLineDash([5, 4]);
  ink.strokeStyle = tone("--soft");
  ink.beginPath();
  ink.moveTo(scale.x(line), MARGIN.top);
  ink.lineTo(scale.x(line), bottom);
  ink.moveTo(MARGIN.left, scale.y(line));
  ink.lineTo(right, scale.y(line));
  ink.stroke();
  ink.setLineDash([]);
  const xs = columns[`${second.name}_place`], ys = columns[`${first.name}_place`];
  const colours = tones.map(tone);
  const radius = rows.length > 3000 ? 1.6 : rows.length > 300 ? 2.4 : 4;
  ink.globalAlpha = rows.length > 3000 ? 0.5 : 0.8;
  for (const row of rows) {
    ink.fillStyle = ink.strokeStyle = colours[verdict[row]];
    ink.beginPath();
    ink.arc(scale.x(xs[row]), scale.y(ys[row]), radius, 0, 7);
    if (text("easy_to_see", row)) ink.stroke();
    else ink.fill();
  }
  ink.globalAlpha = 1;
  if (state.chosen >= 0) {
    ink.strokeStyle = tone("--ink");
    ink.lineWidth = 2;
    ink.beginPath();
    ink.arc(scale.x(xs[state.chosen]), scale.y(ys[state.chosen]), radius + 4, 0, 7);
    ink.stroke();
  }
  canvas.ariaLabel = `${rows.length} pairs: ${first.title} against ${second.title}. ${$("#headline").textContent}`;
}

function nearest(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const xs = columns[`${second.name}_place`], ys = columns[`${first.name}_place`];
  let best = -1, least = 144;
  for (const row of rows) {
    const far = (scale.x(xs[row]) - x) ** 2 + (scale.y(ys[row]) - y) ** 2;
    if (far < least) [best, least] = [row, far];
  }
  return { row: best, x, y };
}

function refresh() {
  rows = found();
  drawTable();
  drawScatter();
}

function start() {
  judge();
  drawHeads();
  drawCounts();
  if (!ruled || !second) {
    $("#scatter").hidden = true;
    $("#overview").style.gridTemplateColumns = "minmax(0, 1fr)";
  }
  if (!ruled) $("#overview").hidden = true;
  const slider = $("#threshold input");
  slider.value = state.threshold;
  slider.oninput = () => {
    state.threshold = Number(slider.value);
    judge();
    drawCounts();
    drawGallery();
    if (state.chosen >= 0) choose(state.chosen, false);
    refresh();
  };
  $("#hard").onchange = (event) => { state.hard = event.target.checked; state.page = 0; refresh(); };
  $("#rows input").oninput = (event) => { state.find = event.target.value; state.page = 0; refresh(); };
  $("#back").onclick = () => { state.page -= 1; drawTable(); };
  $("#on").onclick = () => { state.page += 1; drawTable(); };
  $("#explanation").textContent = data.explanation;
  $("#scatter figcaption").textContent =
    `Each point is a pair: up, ${first.title} finds it further; right, ${second?.title} does. Rings are easy to see.`;
  canvas.onclick = (event) => { const { row } = nearest(event); if (row >= 0) choose(row, true); };
  canvas.onpointermove = (event) => {
    const { row, x, y } = nearest(event), tip = $("#tip");
    tip.hidden = row < 0;
    if (row < 0) return;
    tip.textContent = columns.pair[row];
    tip.style.left = `${Math.min(x + 12, canvas.clientWidth - 150)}px`;
    tip.style.top = `${y + 12}px`;
  };
  canvas.onpointerleave = () => { $("#tip").hidden = true; };
  addEventListener("resize", drawScatter);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawScatter);
  drawGallery();
  drawAbout();
  refresh();
}

function drawGallery() {
  const shown = Object.keys(pictures).map(Number).sort((a, b) => verdict[a] - verdict[b] || a - b);
  $("#gallery").hidden = !shown.length;
  $("#gallery > div").replaceChildren(...shown.map(pair));
}

function drawAbout() {
  const { problems } = data;
  $("#problems").hidden = !problems.length;
  $("#problems summary").textContent = `${problems.length} not measured`;
  const cell = (textContent, className = "text") => element("td", { className, textContent });
  const lines = problems.map(([name, reason]) => element("tr", {}, cell(name), cell(reason, "text note")));
  $("#problems tbody").replaceChildren(...lines);
  $("#receipt ul").replaceChildren(...data.notes.map((each) => element("li", { textContent: each })));
  $("#receipt pre").textContent = JSON.stringify(data.receipt, null, 1);
}

start();
