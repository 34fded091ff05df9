// The maps of a model of the eye.

import { HEAT, heatIndex } from "./heat.js";
import { decodePng } from "./png.js";

// Every lane's map as ImageData, decoded once. The colours have one scale for all lanes.
export function eyeMaps(model) {
  const { eye } = model;
  eye.images ??= decodePng(eye.maps).then(({ data }) => {
    const [height, width] = eye.map_size;
    const top = Math.max(...eye.map_peak);
    return eye.map_peak.map((peak, lane) => {
      const image = new ImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      const from = 4 * lane * pixels.length;
      for (let i = 0; i < pixels.length; i++)
        pixels[i] = HEAT[heatIndex(peak * (data[from + 4 * i] / 255) ** 2, top)];
      return image;
    });
  });
  return eye.images;
}
