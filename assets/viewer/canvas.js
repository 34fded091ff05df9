// Copies ImageData onto a canvas, unless it is there already.
export function paint(canvas, image) {
  if (canvas.painted === image) return;
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
  canvas.painted = image;
}
