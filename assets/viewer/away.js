// While a run's status stands still, this asks whether the server is there; if not, the status says so.

import { english } from "./language.js";

const LOOK_MS = 1000;
const STILL_MS = 4000;                // without a new text: the server is gone, or at a long step
const GONE = "Stopped: the server does not answer. What is shown stays; press the button again when it is back.";
const ANEW = "Stopped: the server has started anew, and has forgotten this run. Press the button again.";

// `address` makes the address of a file of the server.
export function watchServer(address) {
  const seen = new Map();             // status line -> { text, since }
  let server = null;                  // its name, which is another one after every start

  const ask = () => fetch(address("viewer/server"), { cache: "no-store", signal: AbortSignal.timeout(STILL_MS) })
    .then((answer) => (answer.ok ? answer.text() : null)).catch(() => null);

  function isStill(line) {
    const text = english(line);
    if (!/^\s*(Loading\b(?! done)|Running)/.test(text)) return false;
    if (seen.get(line)?.text !== text) seen.set(line, { text, since: performance.now() });
    return performance.now() - seen.get(line).since > STILL_MS;
  }

  // No answer will end what this button stops.
  function end(stop) {
    stop.dataset.runs = 0;
    [document.getElementById(stop.dataset.run).disabled, stop.disabled] = [false, true];
  }

  async function look() {
    const still = [...document.querySelectorAll(".status [role=status]")].filter(isStill);
    if (still.length) {
      const now = await ask();
      for (const line of now === server ? [] : still)
        if (english(line) === seen.get(line).text) line.textContent = now ? ANEW : GONE;
      if (now !== server) {
        document.dispatchEvent(new Event("server-away"));
        document.querySelectorAll("button[data-runs]").forEach(end);
      }
      else for (const line of still) seen.delete(line);  // ask again in a while
      server = now ?? server;
    }
    setTimeout(look, LOOK_MS);
  }

  ask().then((name) => { server = name; look(); });
}
