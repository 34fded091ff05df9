// Several pictures in one image, as Python packs them: side by side, or one below the other.

function crop({ data, width }, left, top, cropWidth, cropHeight) {
  const image = new ImageData(cropWidth, cropHeight);
  for (let y = 0; y < cropHeight; y++) {
    const at = 4 * ((top + y) * width + left);
    image.data.set(data.subarray(at, at + 4 * cropWidth), 4 * y * cropWidth);
  }
  return image;
}

export function columnsOf(strip, count) {
  const width = strip.width / count;
  return Array.from({ length: count }, (_, i) => crop(strip, i * width, 0, width, strip.height));
}

export function rowsOf(strip, count) {
  const height = strip.height / count;
  return Array.from({ length: count }, (_, i) => crop(strip, 0, i * height, strip.width, height));
}
