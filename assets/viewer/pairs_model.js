// The measured pairs of one run: verdicts, what is shown, in which order. Nothing here touches the page.

const FURTHER = 0, NEARER = 100;      // the JPEG qualities of a pair beyond its ruler's ends

// A message's pieces as rows; each knows its small pictures: an address, its place and the count within that picture.
// `addressOf` makes the address of a file of the server.
export function rowsOf(pieces, addressOf) {
  return pieces.flatMap(({ rows, strip }) => {
    const some = JSON.parse(rows), url = addressOf(`viewer/strips/${strip}`);
    return some.map((row, index) => ({ ...row, strip: { url, index, count: some.length } }));
  });
}

// 0: fools the first metric alone, 1: both, 2: neither, 3: the second alone; fooled is: at the threshold or below.
export function verdictOf(row, [first, second], threshold) {
  const one = row[`${first.name}_jpeg`] <= threshold;
  const other = Boolean(second) && row[`${second.name}_jpeg`] <= threshold;
  return one ? (other ? 1 : 0) : other ? 3 : 2;
}

export const verdictTitles = ([first, second]) =>
  second ? [`${first.title} only`, "both", "neither", `${second.title} only`] : [first.title, null, "neither", null];

export const note = (row) => [row.easy && `Easy to see: ${row.easy}.`, row.notes].filter(Boolean).join(" ");

export function qualityOf(row, name) {
  const quality = row[`${name}_jpeg`];
  if (row.linf === 0) return "identical";
  return quality === FURTHER ? "beyond quality 1" : quality === NEARER ? "above quality 88" : `quality ${quality}`;
}

// Where a threshold lies on a ruler of qualities, mild to strong: between two of its entries.
export function placeOf(threshold, ladder) {
  const at = ladder.findIndex((quality) => quality <= threshold);
  return (at < 0 ? ladder.length : at) - 0.5;
}

// The threshold whose line is nearest to a place on the ruler.
export function thresholdAt(place, ladder) {
  const at = Math.min(ladder.length - 1, Math.max(0, Math.ceil(place)));
  return ladder[at];
}

// The entry of the ruler, -1 for nearer than the mildest and ladder.length for beyond, that a row is read as.
export const entryOf = (row, name, ladder) =>
  Math.min(ladder.length, Math.max(-1, Math.round(row[`${name}_place`])));

// Whether a row lies in a rectangle of the scatter, { x: [low, high], y }, places on the two metrics' rulers.
export const isIn = (row, box, [first, second]) =>
  box.x[0] <= row[`${second.name}_place`] && row[`${second.name}_place`] <= box.x[1] &&
  box.y[0] <= row[`${first.name}_place`] && row[`${first.name}_place`] <= box.y[1];

// The rows that are shown, in order, but for the rectangle.
// `view`: { on: verdicts, hard, find, bars: { metric: entry }, sort: { key(row), down } }.
export function found(rows, verdicts, view, ladder) {
  const wanted = view.find.trim().toLowerCase();
  const some = rows.filter((row, index) =>
    view.on.has(verdicts[index]) && !(view.hard && row.easy) &&
    Object.entries(view.bars).every(([name, entry]) => entryOf(row, name, ladder) === entry) &&
    (!wanted || `${row.pair} ${row.clean} ${note(row)}`.toLowerCase().includes(wanted)));
  if (!view.sort) return some;
  const { key, down } = view.sort, keys = new Map(some.map((row) => [row, key(row) ?? Infinity]));
  return some.sort((a, b) => {
    const one = keys.get(a), other = keys.get(b);
    return (down ? -1 : 1) * (one < other ? -1 : one > other ? 1 : 0) || a.place - b.place;
  });
}

// The headline, from the numbers of rows with each verdict.
export function headline(rows, verdicts, [first, second]) {
  let fooled = 0, easy = 0;
  rows.forEach((row, index) => {
    if (verdicts[index] !== 0) return;
    fooled += 1;
    easy += Boolean(row.easy);
  });
  const and = second ? ` and not ${second.title}` : "";
  const seen = easy ? `; ${easy} of these are easy to see` : "";
  return `Of ${rows.length} pairs, ${fooled} fool ${first.title}${and}${seen}.`;
}
