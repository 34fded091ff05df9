// Wide tables in a narrow window: each row is a card, in which every value stands beside the name of its column. The
// style is in phone.css.

import { make } from "./dom.js";

const TABLES = "#robustness-page :is(.intervals, .transfer) table, .fool-rows table, .prose-page table";

// Gives the cells of all tables on the page their labels, which are hidden in a wide window.
export function labelTables() {
  for (const table of document.querySelectorAll(`:is(${TABLES}):not(.as-cards):has(thead)`)) {
    const heads = headsOf(table.tHead);
    for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) labelRow(row, heads);
    table.classList.add("as-cards");
  }
}

// For each column its headings from top to bottom; one that spans columns belongs to all of them.
function headsOf(head) {
  const heads = [];
  [...head.rows].forEach((row, level) => {
    let column = 0;
    for (const cell of row.cells) {
      while (heads[column]?.until > level) column++;
      for (const end = column + cell.colSpan; column < end; column++) {
        heads[column] ??= { cells: [] };
        heads[column].cells.push(cell);
        heads[column].until = level + cell.rowSpan;
      }
    }
  });
  return heads;
}

function labelRow(row, heads) {
  [...row.cells].forEach((cell, column) => {
    if (!column || !heads[column]) return;       // the first cell is the name of the card
    const names = heads[column].cells.filter(({ colSpan }) => colSpan < row.cells.length - 1);
    cell.prepend(make("span", { className: "of" }, ...names.map(nameOf)));
  });
}

function nameOf(cell) {
  const name = make("span", { className: cell.className }, ...[...cell.childNodes].map((node) => node.cloneNode(true)));
  name.style.setProperty("--raw", cell.style.getPropertyValue("--raw"));
  return name;
}

// The labels are copies of what the headings say now.
document.addEventListener("page-language", () => {
  for (const label of document.querySelectorAll(".as-cards .of")) label.remove();
  for (const table of document.querySelectorAll(".as-cards")) table.classList.remove("as-cards");
  labelTables();
});
