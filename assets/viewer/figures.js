// A small table with a metric in each column. Its cells are made once, and then written into, as a slider moves often.

import { make, say } from "./dom.js";

// `tags` are the elements of a cell. The function that is returned takes the text in the corner, the metrics
// {title, color}, and the rows [name, texts], of each metric a text for each tag.
export function newFigures(table, tags) {
  let shape = "", cells = [];

  function build(corner, metrics, names) {
    const heads = metrics.map(({ title, color }) => {
      const head = make("th", { scope: "col", className: "rv-ink", textContent: title });
      head.style.setProperty("--raw", color);
      return head;
    });
    cells = names.map(() => metrics.map(() => tags.map((tag) => make(tag))));
    const rows = names.map((name, row) => make("tr", {}, make("th", { scope: "row", textContent: name }),
      ...cells[row].map((nodes) => make("td", {}, ...nodes))));
    const top = make("tr", {}, make("td", { textContent: corner }), ...heads);
    table.replaceChildren(make("thead", {}, top), make("tbody", {}, ...rows));
  }

  return function write(corner, metrics, rows) {
    const names = rows.map(([name]) => name);
    const wanted = JSON.stringify([corner, metrics.map(({ title, color }) => [title, color]), names]);
    if (wanted !== shape) build(corner, metrics, names);
    shape = wanted;
    for (const [row, [, texts]] of rows.entries())
      for (const [m, nodes] of cells[row].entries())
        for (const [k, node] of nodes.entries()) say(node, texts[m][k]);
  };
}
