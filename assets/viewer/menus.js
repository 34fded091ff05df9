// The two menus of the viewer: the receipt of a run, and the files to download.

import { amplifiedChange, attackedImage, startPixels } from "./decode.js";
import { make } from "./dom.js";
import { frameAt, isPair } from "./model.js";
import { laneName } from "./names.js";

export function writeReceipt(root, model) {
  const receipt = Object.entries(model.meta.receipt || {});
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  root.querySelector(".rv-receipt").hidden = !receipt.length;
  root.querySelector(".rv-receipt dl").replaceChildren(...receipt.flatMap(([key, value]) =>
    [make("dt", { textContent: key.replaceAll("_", " ") }), make("dd", { textContent: text(value) })]));
}

// Every lane's picture and perturbation as they are on show, as PNG, which loses nothing; and the trace itself.
export function writeDownloads(root, model, view) {
  const list = root.querySelector(".rv-downloads ul");
  const items = model.meta.lanes.flatMap((_, lane) => ["picture", "perturbation"].map((kind) => {
    const name = kind === "picture" ? "picture" : isPair(model) ? "difference" : "perturbation";
    const button = make("button", { type: "button", textContent: `${laneName(model, lane)}: ${name}, PNG` });
    button.onclick = () => savePicture(model, view, lane, kind);
    return make("li", {}, button);
  }));
  list.replaceChildren(...items);
  writeTraceLink(root, model);
}

// The file of a trace comes after its end, when the menu may be open: what has the focus there must stay.
export function writeTraceLink(root, model) {
  const trace = model.files?.trace;
  if (!trace) return;
  const list = root.querySelector(".rv-downloads ul");
  const name = trace.orig_name || trace.path.split("/").pop();
  const link = make("a", { href: trace.url, download: name, textContent: `The whole trace, ${name}` });
  list.querySelector("a")?.parentElement.remove();
  list.append(make("li", {}, link));
}

function savePicture(model, view, lane, kind) {
  const frame = frameAt(model, lane, view.step, true);
  if (!frame) return;
  const attacked = attackedImage(model, frame, lane);
  const image = kind === "picture" ? attacked : amplifiedChange(attacked, startPixels(model), view.factor);
  const canvas = make("canvas", { width: image.width, height: image.height });
  canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  const parts = [model.meta.name, model.meta.lanes[lane]];
  if (!isPair(model)) parts.push(`step${frame.step}`);
  if (kind !== "picture") parts.push(`perturbation-x${view.factor}`);
  canvas.toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    make("a", { href: url, download: `${parts.join("-").replace(/[^\w.-]+/g, "-")}.png` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }, "image/png");
}

// A menu closes when the focus leaves it, and with Escape.
export function closeOutside(menu) {
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
