// What an address says of the bench: #pairs?threshold=16&sort=-psnr&filter=first,hard. Nothing here touches the page.

const QUADRANTS = ["first", "both", "neither", "second"];   // which metrics a pair fools; the places are the verdicts
const HARD = "hard";

const sortOf = (text) => (/^-?[a-z0-9-]{1,40}$/.test(text) ? text : undefined);

export const PAIRS_KEYS = {
  threshold: { read: (text) => (/^[1-9]\d?$/.test(text) && Number(text) <= 88 ? Number(text) : undefined) },
  sort: { read: sortOf },             // the name of a column, with a minus for the largest first
  filter: {
    read: (text) => {
      const names = text.split(",");
      return names.every((name) => name === HARD || QUADRANTS.includes(name)) ? names : undefined;
    },
  },
};

// The texts of a view of the bench, without the defaults.
export function pairsTexts({ threshold, usual, sort, on, hard }) {
  const texts = {};
  if (threshold !== usual) texts.threshold = String(threshold);
  if (sort) texts.sort = (sort.down ? "-" : "") + sort.name;
  if (on.size < 4 || hard) {
    const names = on.size < 4 ? QUADRANTS.filter((_, verdict) => on.has(verdict)) : [];
    texts.filter = [...names, ...(hard ? [HARD] : [])].join(",");
  }
  if (!texts.filter) delete texts.filter;     // nothing is shown: no link is made of that
  return texts;
}

// The change of a view that an address's values make; what they leave out is the default.
export function pairsView({ threshold, sort, filter = [] }, usual) {
  const on = QUADRANTS.flatMap((name, verdict) => (filter.includes(name) ? [verdict] : []));
  return {
    threshold: threshold ?? usual,
    sort: sort ? { name: sort.replace(/^-/, ""), down: sort.startsWith("-") } : null,
    on: new Set(on.length ? on : [0, 1, 2, 3]),
    hard: filter.includes(HARD),
  };
}
