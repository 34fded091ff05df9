// A metric of one's own as a file that `rlpips.load_metric` reads (safetensors), and back.

const LARGEST = 2 ** 20;              // bytes

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

// What the heads of a file are made of, as `headsFile` and `Heads.save` write it. An Error with a sentence for others.
export async function aboutOf(file) {
  try {
    if (file.size > LARGEST) throw new Error();
    const bytes = await file.arrayBuffer();
    const length = Number(new DataView(bytes).getBigUint64(0, true));
    return JSON.parse(JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length))).__metadata__.heads);
  } catch {
    throw new Error(`${file.name} is not a file of heads that this page or Heads.save wrote.`);
  }
}
