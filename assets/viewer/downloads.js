// What can be taken home of the run on show. Pictures are made here, as they are on show; figures, numbers, code and references come from
// the server, which makes them of the trace's file (see rlpips/ui/runtime/exports.py).

import { newCopy } from "./copy.js";
import { amplifiedChange, attackedImage, startPixels } from "./decode.js";
import { make } from "./dom.js";
import { frameAt, isPair, traceDigest } from "./model.js";
import { laneName, metricTitle } from "./names.js";

const FIGURES = [["Curves", "curves", ["SVG", "PNG", "PDF"]], ["All in one figure", "overview", ["PNG", "PDF"]]];

// `address` is Gradio's.
export function newDownloads(root, model, view, address) {
  const menu = root.querySelector(".rv-downloads");
  const [files, pictures] = ["made-there", "made-here"].map((name) => menu.querySelector(`.rv-${name}`));
  const waiting = menu.querySelector(".rv-waiting");
  let filesOf = null;                 // the trace whose files are listed

  const at = (kind) => address(`viewer/export/${traceDigest(model)}/${view.step}/${kind}`);
  const row = (name, ...parts) => make("li", {}, make("span", { textContent: name }), make("div", {}, ...parts));

  // Where a step or a scale is meant, it is the one on show when the link is pressed.
  function link(text, kind, name) {
    const node = make("a", { className: "rv-button", href: at(kind()), download: "", textContent: text, ariaLabel: `${name}, ${text}` });
    node.onclick = () => { node.href = at(kind()); };
    return node;
  }

  function button(text, name, onclick) {
    return make("button", { type: "button", className: "rv-button", textContent: text, ariaLabel: `${name}, ${text}`, onclick });
  }

  // The file of a trace comes after its end, when the menu may be open: what has the focus there must stay.
  function writeFiles() {
    const trace = model.files?.trace;
    waiting.hidden = Boolean(trace);
    if ((trace?.path ?? null) === filesOf) return;
    filesOf = trace?.path ?? null;
    files.replaceChildren(...(trace ? rowsOf(trace) : []));
    if (menu.open && !pictures.contains(document.activeElement)) writePictures();
  }

  function rowsOf(trace) {
    const name = trace.orig_name || trace.path.split("/").pop();
    const whole = make("a", { className: "rv-button", href: trace.url, download: name, textContent: "ZIP", title: name,
      ariaLabel: "The whole trace, ZIP" });
    const figures = FIGURES.filter(([, kind]) => !isPair(model) || kind !== "curves");
    return [
      row("The whole trace", whole),
      ...figures.map(([title, kind, endings]) =>
        row(title, ...endings.map((ending) => link(ending, () => `${kind}.${ending.toLowerCase()}`, title)))),
      row("All maps, with their scales", ...["PNG", "PDF"].map((ending) =>
        link(ending, () => `maps-${view.scale}.${ending.toLowerCase()}`, "All maps, with their scales"))),
      row("Every step, as a table", link("CSV", () => "steps.csv", "Every step, as a table")),
      row("Make it again", newCopy("Copy as Python", () => at("again.py")), link(".py", () => "again.py", "Make it again")),
      row("Papers that it stands on", newCopy("Copy BibTeX", () => at("papers.bib")),
        link(".bib", () => "papers.bib", "Papers that it stands on"))];
  }

  // Every lane's picture and perturbation as they are on show, as PNG, which loses nothing.
  function writePictures() {
    const change = isPair(model) ? "difference" : "perturbation";
    pictures.replaceChildren(...model.meta.lanes.map((_, lane) => {
      const name = laneName(model, lane);
      const maps = model.files?.trace ? model.meta.metrics.map((_, m) =>
        link(`map, ${metricTitle(model, m)}`, () => `map-${view.scale}-${lane}-${m}.png`, name)) : [];
      return row(name, ...[["picture", "picture"], [change, "perturbation"]].map(([text, kind]) =>
        button(text, name, () => savePicture(lane, kind))), ...maps);
    }));
  }

  function savePicture(lane, kind) {
    const frame = frameAt(model, lane, view.step, true);
    if (!frame) return;
    const attacked = attackedImage(model, frame, lane);
    const image = kind === "picture" ? attacked : amplifiedChange(attacked, startPixels(model), view.factor);
    const canvas = make("canvas", { width: image.width, height: image.height });
    canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
    const parts = [stem() ?? model.meta.name];
    if (!isPair(model)) parts.push(`step${frame.step}`);
    parts.push(model.meta.lanes[lane]);
    if (kind !== "picture") parts.push(`perturbation-x${view.factor}`);
    canvas.toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      make("a", { href: url, download: `${parts.join("_").replace(/[^\p{L}\p{N}_.-]+/gu, "-")}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    }, "image/png");
  }

  // What the trace's file is called, without its ending: picture, attack and seed.
  const stem = () => model.files?.trace?.orig_name?.replace(/[.]trace[.]zip$/, "");

  function open() {
    if (!model.meta) return;
    writeFiles();
    writePictures();
  }

  menu.addEventListener("toggle", open);
  return { writeFiles };
}
