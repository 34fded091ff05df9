// "Now try it": what the visitor's own duels have shown, and whether the task is reached. Nothing here touches the
// page.

import { VALUES, measure, valueText } from "./values.js";

const OVER = ["done", "recorded"];
const SETTINGS = ["name", "objective", "norm", "eps", "steps", "seed", "restarts", "schedule", "step_size", "metrics"];

export function newAttempts(task) {
  const known = new Map();            // run -> {at, holds, text, others}: `others`, all settings but what varies
  let last = null;

  const step = (model) => model.curve.distance.length - 1;
  const fits = ({ meta }) => Object.entries(task.where ?? {}).every(([key, value]) => meta[key] === value);

  // Looks at the duel on show. True if it is a new one that counts.
  function look(model) {
    if (!model?.meta || !OVER.includes(model.state) || known.has(model.run) || !fits(model)) return false;
    const value = measure(task.value, model, step(model));
    if (value === null) return false; // not there yet, or never
    last = {
      at: task.least ? measure(task.least, model, step(model)) : null,
      atText: task.least ? valueText(task.least, model, step(model)) : "",
      holds: value >= (task.from ?? -Infinity) && value < (task.to ?? Infinity),
      text: valueText(task.value, model, step(model)),
      others: JSON.stringify(SETTINGS.filter((key) => key !== task.least).map((key) => model.meta[key])),
    };
    known.set(model.run, last);
    return true;
  }

  // The smallest that does it beside the settings of the last duel, and the largest below that which does not.
  function bracket() {
    const alike = [...known.values()].filter(({ others }) => others === last.others);
    const does = alike.filter(({ holds }) => holds).sort((a, b) => a.at - b.at)[0] ?? null;
    const below = alike.filter(({ holds, at }) => !holds && (!does || at < does.at));
    const not = below.sort((a, b) => b.at - a.at)[0] ?? null;
    const near = does && (not ? does.at - not.at : does.at) <= task.within + 1e-9;
    return { does, not, reached: Boolean(near) };
  }

  // {reached, says, best}: a sentence on the last duel, and the number to put beside it.
  function says() {
    const name = task.least;
    const best = { figure: "?", of: name ? `the smallest ${name} so far` : "" };
    if (!last) return { reached: false, best, says: "No duel that counts yet. Set the controls and press Run." };
    const was = `${name ? `${name} ${last.atText} ` : "This duel "}${last.holds ? "does it" : "does not"}`
      + ` (${VALUES[task.value].short} ${last.text}).`;
    if (!name) return { reached: last.holds, best: { figure: last.text, of: VALUES[task.value].short }, says: was };
    const { does, not, reached } = bracket();
    if (does) best.figure = does.atText;
    const below = not ? `${not.atText} does not` : "nothing smaller can be set";
    const more = reached ? `Reached: ${does.atText} does it, and ${below}. Duels: ${known.size}.`
      : !does ? `None has done it so far: try a larger ${name}.`
        : `The smallest so far is ${does.atText}${not ? `, and ${below}: try one between` : ": try a smaller one"}.`;
    return { reached, best, says: reached ? more : `${was} ${more}` };
  }

  return { look, says };
}
