// The score of "You be the judge": sums what each answer is worth, for as long as this browser tab lives.

const KEPT = "rlpips-judge";
const root = element.querySelector(".jscore");

function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)) ?? { rows: [] }; } catch { return { rows: [] }; }
}

function receive(message) {
  const score = kept();
  if (!message || message.id === score.last) return show(score);     // the same answer counts once
  message.points.forEach((point, i) => {
    const row = score.rows[i] ??= { right: 0, known: 0, agrees: 0, all: 0 };
    if (point.right !== null) { row.known += 1; row.right += point.right; }
    if (point.agrees !== null) { row.all += 1; row.agrees += point.agrees; }
  });
  score.last = message.id;
  sessionStorage.setItem(KEPT, JSON.stringify(score));
  show(score);
}

function show({ rows }) {
  const body = root.querySelector("tbody");
  body.replaceChildren(...props.lines.map((each, i) => {
    const row = { ...each, ...rows[i] };
    const line = document.createElement("tr");
    line.className = "jscore-line";
    line.style.setProperty("--raw", row.color ?? "currentColor");
    const cells = [row.title, row.known ? `${row.right}/${row.known}` : "–", row.all ? `${row.agrees}/${row.all}` : "–"];
    cells.forEach((text, j) => {
      const cell = document.createElement(j ? "td" : "th");
      if (!j) cell.scope = "row";
      cell.textContent = text;
      line.append(cell);
    });
    return line;
  }));
}

root.querySelector("button").addEventListener("click", () => {
  sessionStorage.setItem(KEPT, JSON.stringify({ rows: [], last: kept().last }));
  show(kept());
});
watch("value", () => receive(props.value));
receive(props.value);
