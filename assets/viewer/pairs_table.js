// The table of measured pairs: of thousands of rows only those in sight are on the page.

import { make } from "./dom.js";
import { note, qualityOf, verdictTitles } from "./pairs_model.js";
import { PHONE } from "./narrow.js";

const ROW = 46, AHEAD = 6;            // pixels of a row, as in pairs.css; rows beyond either edge
const CARD = { head: 92, line: 46 };  // pixels of a card, a row in a narrow window: its head, and two values

const number = (value, digits = 3) =>
  value === null ? "∞" : Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(digits)));

// `head()` is { metrics, verdict(row), eye: whether a model of the eye was asked }; `sorted(sort)`, `chosen(row)` are
// told what was clicked.
export function newTable(scroll, { head, sorted, chosen }) {
  const [thead, tbody] = ["thead", "tbody"].map((name) => scroll.querySelector(name));
  let rows = [], selected = null, columns = [], sort = null, height = ROW;

  // `wanted`: { name, down } of the column that sorts. Returns it with its key, or null if there is none of that name.
  function setHead(wanted) {
    columns = columnsOf(head());
    const column = columns.find(({ name, key }) => key && name === wanted?.name);
    sort = column ? { ...wanted, key: column.key } : null;
    drawHead();
    measure();
    return sort;
  }

  function measure() {
    const values = columns.filter(({ kind }) => !kind).length;
    height = PHONE.matches ? CARD.head + CARD.line * Math.ceil(values / 2) : ROW;
    scroll.style.setProperty("--row", `${height}px`);
  }

  function drawHead() {
    thead.replaceChildren(make("tr", {}, ...columns.map((column) => {
      if (!column.key) return make("td", { className: column.kind ?? "" });   // the pictures have no name
      const on = sort !== null && sort.name === column.name;
      const cell = make("th", { className: column.kind ?? "", scope: "col" });
      cell.ariaSort = !on ? "none" : sort.down ? "descending" : "ascending";
      cell.append(make("button", { type: "button", textContent: column.title + (!on ? "" : sort.down ? " ▾" : " ▴"),
        onclick: () => {
          sort = { name: column.name, key: column.key, down: on ? !sort.down : !column.kind };
          drawHead();
          sorted(sort);
        } }));
      return cell;
    })));
  }

  function draw() {
    const top = Math.max(0, Math.floor(scroll.scrollTop / height) - AHEAD);
    const bottom = Math.min(rows.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + AHEAD);
    tbody.replaceChildren(space(top), ...rows.slice(top, bottom).map(lineOf), space(rows.length - bottom));
  }

  function space(count) {
    const cell = make("td", { colSpan: columns.length });
    cell.style.height = `${count * height}px`;
    return make("tr", { className: "pb-space", hidden: count <= 0 }, cell);
  }

  function lineOf(row) {
    const line = make("tr", { onclick: () => chosen(row) });
    line.dataset.place = row.place;
    line.dataset.verdict = head().verdict(row);
    line.ariaSelected = String(row === selected);
    for (const { title, kind, show } of columns) {
      const cell = make("td", { className: kind ?? "" }), shown = show(row);
      if (shown instanceof Node) cell.append(shown);
      else cell.textContent = shown;
      if (kind) cell.title = cell.textContent;
      else cell.prepend(make("span", { className: "pb-label", textContent: title }));
      line.append(cell);
    }
    return line;
  }

  scroll.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  new ResizeObserver(draw).observe(scroll);
  PHONE.addEventListener("change", () => { measure(); draw(); });

  return {
    setHead,
    show(some) { rows = some; draw(); },
    select(row) {
      selected = row;
      const place = rows.indexOf(row), above = place * height, room = scroll.clientHeight - thead.offsetHeight - height;
      if (place >= 0 && above < scroll.scrollTop) scroll.scrollTop = above;
      if (place >= 0 && above > scroll.scrollTop + room) scroll.scrollTop = above - room;
      draw();
    },
    next: (step) => rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(selected) + step))],
  };
}

function columnsOf({ metrics, verdict, eye }) {
  const titles = verdictTitles(metrics);
  const of = (key, digits) => ({ key: (row) => row[key], show: (row) => number(row[key], digits) });
  const columns = [
    { title: "", show: pictures, kind: "pb-text" },
    { name: "pair", title: "pair", kind: "pb-text pb-name", key: (row) => row.pair,
      show: (row) => make("bdi", { textContent: row.pair }) },
    { name: "verdict", title: "fools", kind: "pb-text pb-verdict", key: verdict, show: (row) => titles[verdict(row)] },
  ];
  for (const { name, title } of metrics) {
    columns.push({ name, title: `${title}\nas far as JPEG`, key: (row) => row[`${name}_place`],
      show: (row) =>
        make("span", {}, qualityOf(row, name), make("br"), make("small", { textContent: number(row[name]) })) });
  }
  if (eye) {
    columns.push({ name: "eye", title: "FLIP, the eye\nas far as JPEG", key: (row) => row.eye,
      show: (row) => (row.eye === null ? "–" : make("span", {}, qualityOf(row, "eye"), make("br"),
        make("small", { textContent: number(row.eye) }))) });
  }
  columns.push(
    { name: "linf", title: "l∞\n/255", key: (row) => row.linf, show: (row) => number(255 * row.linf) },
    { name: "l2", title: "l2", ...of("l2") }, { name: "psnr", title: "PSNR\ndB", ...of("psnr") },
    { name: "ssim", title: "SSIM", key: (row) => row.ssim, show: (row) => row.ssim.toFixed(3) },
  );
  for (const { name, title } of metrics) {
    columns.push({ name: `${name}-half`, title: `${title}\nhalf of it in`, key: (row) => row[`${name}_half`],
      show: (row) => `${row[`${name}_half`] ?? "–"} channels` });
  }
  columns.push({ name: "note", title: "note", kind: "pb-text pb-note", key: note, show: note });
  return columns;
}

function pictures(row) {
  const { url, index, count } = row.strip;
  const node = make("span", { className: "pb-strip", role: "img", ariaLabel: "original, attacked, change" });
  node.style.backgroundImage = `url(${JSON.stringify(url)})`;
  node.style.backgroundSize = `120px ${40 * count}px`;
  node.style.backgroundPosition = `0 ${-40 * index}px`;
  return node;
}
