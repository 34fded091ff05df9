// A picture file in, its exact bytes out: no colour management and no premultiplication.

const blobOf = (url) => (url.startsWith("data:") ? inlineBlob(url) : fetchBlob(url));

// A file of float32 numbers.
export const decodeFloats = async ({ url }) => new Float32Array(await (await blobOf(url)).arrayBuffer());

export async function decodePng({ url }) {
  const blob = await blobOf(url);
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

async function fetchBlob(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`a file could not be loaded (${response.status})`);
  return response.blob();
}

// A base64 address; fetch would take 20 ms for it.
function inlineBlob(url) {
  const text = atob(url.slice(url.indexOf(",") + 1));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: url.slice(5, url.indexOf(";")) });
}
