// A metric of one's own as a file that `rlpips.load_metric` reads (safetensors), and back.

const LARGEST = 2 ** 20;              // bytes
const MOST_WEIGHT = 1e4;              // as the library has it

// The bytes of the file: float32 weights, layer by layer, and in the metadata what they are made of.
export function headsFile(weights, layers, about) {
  const header = { __metadata__: { heads: JSON.stringify(about) } };
  for (const [l, { first, count }] of layers.entries())
    header[l] = { dtype: "F32", shape: [count], data_offsets: [4 * first, 4 * (first + count)] };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = 8 * Math.ceil(text.length / 8);
  const bytes = new Uint8Array(8 + padded + 4 * weights.length).fill(32);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(padded), true);
  bytes.set(text, 8);
  for (const [c, weight] of weights.entries()) view.setFloat32(8 + padded + 4 * c, weight, true);
  return bytes;
}

// The heads of a file that `headsFile` or `Heads.save` wrote: {about, weights}, `about` what they are made of,
// `weights` those of all layers (C).
// An Error with a sentence for any other file, and for weights that no metric can have.
export async function readHeads(file) {
  let about, layers;
  try {
    if (file.size > LARGEST) throw new Error();
    const bytes = await file.arrayBuffer();
    const start = 8 + Number(new DataView(bytes).getBigUint64(0, true));
    const header = new TextDecoder().decode(new Uint8Array(bytes, 8, start - 8));
    const { __metadata__: metadata, ...tensors } = JSON.parse(header);
    about = JSON.parse(metadata.heads);
    about.mixture.some(Boolean);      // a list
    layers = Object.keys(tensors).sort((a, b) => a - b).map((name) => floats(bytes, start, tensors[name]));
  } catch {
    throw new Error(`${file.name} is not a file of heads that this page or Heads.save wrote.`);
  }
  const wrong = layers.findIndex((weights) => !weights.every((weight) => weight >= 0 && weight <= MOST_WEIGHT));
  if (wrong >= 0)
    throw new Error(`Weights must be finite, at least 0 and at most 10,000; those of layer ${wrong} are not.`);
  return { about, weights: layers.flatMap((weights) => [...weights]) };
}

function floats(bytes, start, { dtype, shape: [count], data_offsets: [from] }) {
  if (dtype !== "F32") throw new Error();
  const view = new DataView(bytes);
  return Float64Array.from({ length: count }, (_, c) => view.getFloat32(start + from + 4 * c, true));
}
