// The ruler: which strength of a natural distortion is as far as a distance.

const TINY = 1e-12;                   // a grey picture is as far from its grey version as from itself: 0

// The distances of one distortion to one metric, in ascending strength, and what each strength is called; or null.
function scale(model, distortionName, metric) {
  const column = model.ruler ? model.ruler.metrics.indexOf(metric) : -1;
  const distortion = model.ruler?.distortions.find((d) => d.name === distortionName);
  if (!distortion || column < 0) return null;
  return { ...distortion, distance: distortion.distance.map((row) => row[column]) };
}

// A distance as texts, long and short: the entry nearest in log distance, as rlpips.engine.ruler.Ruler.read has it.
export function rulerText(model, distortionName, metric, distance) {
  const steps = scale(model, distortionName, metric);
  if (!steps || distance === null) return { long: "", short: "–" };
  return nearest(steps.title, steps.words, steps.distance, distance);
}

// The same for strengths called `words` that are `known` away.
export function nearest(title, words, known, distance) {
  if (distance === 0) return { long: "identical", short: "identical" };
  const bare = (text) => (text.startsWith(`${title} `) ? text.slice(title.length + 1) : text);
  if (distance > known.at(-1))
    return { long: `further than any ${title} tried (${bare(words.at(-1))})`, short: "beyond all" };
  if (distance < known[0])
    return { long: `nearer than the mildest ${title} tried (${bare(words[0])})`, short: "below all" };
  const apart = known.map((value) => Math.abs(Math.log((value + TINY) / (distance + TINY))));
  const index = apart.indexOf(Math.min(...apart));
  return { long: `as far as ${words[index]}`, short: bare(words[index]) };
}

// The ruler's mark in the chart: a strong but familiar strength, two thirds of the way (about JPEG quality 10).
export function rulerMark(model, distortionName, metric) {
  const steps = scale(model, distortionName, metric);
  if (!steps) return null;
  const index = Math.round(0.65 * (steps.words.length - 1));
  return { text: steps.words[index], distance: steps.distance[index] };
}
