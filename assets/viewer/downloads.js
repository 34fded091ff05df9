// What can be taken home of the run on show. Pictures are made here, as they are on show; figures, numbers, code and
// papers come from the server, which makes them of the trace's file (rlpips/ui/runtime/exports.py).

import { newCopy } from "./copy.js";
import { amplifiedChange, attackedImage, startPixels } from "./decode.js";
import { make } from "./dom.js";
import { frameAt, isPair, traceDigest } from "./model.js";
import { laneName, metricTitle } from "./names.js";

// `address` is Gradio's.
export function newDownloads(root, model, view, address) {
  const menu = root.querySelector(".rv-downloads");
  const find = (name) => menu.querySelector(`.rv-${name}`);
  const [waiting, files, pictures] = ["waiting", "made-there", "made-here"].map(find);
  let filesOf = null;                 // the trace whose files are listed

  const at = (kind) => address(`viewer/export/${traceDigest(model)}/${view.step}/${kind}`);
  const row = (name, ...parts) => make("li", {}, make("span", { textContent: name }), make("div", {}, ...parts));

  // `kind()` is what the server makes: a step or a scale is the one on show when the link is pressed.
  function link(name, text, kind) {
    const labels = { textContent: text, ariaLabel: `${name}, ${text}` };
    const node = make("a", { className: "rv-button", href: at(kind()), download: "", ...labels });
    node.onclick = () => { node.href = at(kind()); };
    return node;
  }

  function button(name, text, onclick) {
    const labels = { textContent: text, ariaLabel: `${name}, ${text}` };
    return make("button", { type: "button", className: "rv-button", onclick, ...labels });
  }

  // A figure in some formats; `kind()` is what the server calls it, without an ending.
  const figure = (name, endings, kind) => row(name, ...endings.map((ending) =>
    link(name, ending, () => `${kind()}.${ending.toLowerCase()}`)));

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
    const [whole, table, again, papers] =
      ["The whole trace", "Every step, as a table", "Make it again", "Papers that it stands on"];
    const zip = link(whole, "ZIP", () => "trace.zip");
    zip.title = zip.download = trace.orig_name;
    return [
      row(whole, zip),
      ...(isPair(model) ? [] : [figure("Curves", ["SVG", "PNG", "PDF"], () => "curves")]),
      figure("All in one figure", ["PNG", "PDF"], () => "overview"),
      figure("All maps, with their scales", ["PNG", "PDF"], () => `maps-${view.scale}`),
      row(table, link(table, "CSV", () => "steps.csv")),
      row(again, newCopy("Copy as Python", () => at("again.py")), link(again, ".py", () => "again.py")),
      row(papers, newCopy("Copy BibTeX", () => at("papers.bib")), link(papers, ".bib", () => "papers.bib")),
    ];
  }

  // Every lane's picture and perturbation as they are on show, as PNG, which loses nothing; and its maps.
  function writePictures() {
    const change = isPair(model) ? "difference" : "perturbation";
    pictures.replaceChildren(...model.meta.lanes.map((_, lane) => {
      const name = laneName(model, lane);
      const maps = model.files?.trace ? model.meta.metrics.map((_, m) =>
        link(name, `map, ${metricTitle(model, m)}`, () => `map-${view.scale}-${lane}-${m}.png`)) : [];
      const shown = [["picture", "picture"], [change, "perturbation"]].map(([text, kind]) =>
        button(name, text, () => savePicture(lane, kind)));
      return row(name, ...shown, ...maps);
    }));
  }

  function savePicture(lane, kind) {
    const frame = frameAt(model, lane, view.step, true);
    if (!frame) return;
    const attacked = attackedImage(model, frame, lane);
    const image = kind === "picture" ? attacked : amplifiedChange(attacked, startPixels(model), view.factor);
    const canvas = make("canvas", { width: image.width, height: image.height });
    canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
    // The trace's file is called after picture, attack and seed.
    const parts = [model.files?.trace?.orig_name?.replace(/[.]trace[.]zip$/, "") ?? model.meta.name];
    if (!isPair(model)) parts.push(`step${frame.step}`);
    parts.push(model.meta.lanes[lane]);
    if (kind !== "picture") parts.push(`perturbation-x${view.factor}`);
    canvas.toBlob((blob) => {
      const url = URL.createObjectURL(blob);
      make("a", { href: url, download: `${parts.join("_").replace(/[^\p{L}\p{N}_.-]+/gu, "-")}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    }, "image/png");
  }

  menu.addEventListener("toggle", () => { if (model.meta) writePictures(); });
  return { writeFiles };
}
