// Every squared difference of one step: all channels at all positions, fetched when they are wanted.
//
// The file (written and described by rlpips/engine/differences.py): 4 bytes with the length of the header; the
// header, JSON {format, step, lanes: [names], metrics: [names], octaves, layers: [{name, channels, size: [h, w],
// peak}]}; then, packed, for each layer lanes x channels x h x w bytes. A byte b is 0, or peak * 2^((b - 255) *
// octaves / 254). Weights are not applied.

// `address` is Gradio's, as viewer.js gets it. Rejects with a sentence for the user where the server has nothing.
export async function fetchDifferences(model, step, address, trunk = 0) {
  const digest = model.files?.trace?.path?.split(/[\\/]/).at(-2);
  if (!digest) throw new Error("The differences can be computed when the run has ended.");
  const response = await fetch(address(`viewer/differences/${digest}/${step}/${trunk}`));
  if (!response.ok) throw new Error(await response.text());
  return decodeDifferences(await response.arrayBuffer());
}

// {step, lanes, metrics, layers}, each layer with its `bytes`.
export async function decodeDifferences(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { octaves, ...about } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const packed = new Blob([new Uint8Array(buffer, 4 + length)]).stream();
  const unpacked = packed.pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
  let at = 0;
  const layers = about.layers.map((layer) => {
    const [height, width] = layer.size;
    const size = about.lanes.length * layer.channels * height * width;
    const value = (byte) => (byte ? layer.peak * 2 ** (((byte - 255) * octaves) / 254) : 0);
    const table = Float32Array.from({ length: 256 }, (_, byte) => value(byte));
    const part = { ...layer, width, height, table, bytes: bytes.subarray(at, at + size) };
    at += size;
    return part;
  });
  return { ...about, layers };
}

// The map of one channel of a layer, as values for maps.js: {data, width, height, top}, times `weight`.
export function channelValues(differences, lane, layer, channel, weight = 1) {
  const { channels, width, height, table, bytes } = differences.layers[layer];
  const size = width * height;
  const at = (lane * channels + channel) * size;
  const data = new Float32Array(size);
  let top = 0;
  for (let i = 0; i < size; i++) {
    data[i] = weight * table[bytes[at + i]];
    if (data[i] > top) top = data[i];
  }
  return { data, width, height, top };
}

// The map of a layer under weights (C_l): the weighted sum of its channels' maps.
export function layerUnder(differences, lane, layer, weights) {
  const { channels, width, height, table, bytes } = differences.layers[layer];
  const size = width * height;
  const data = new Float32Array(size);
  for (let c = 0; c < channels; c++) {
    if (!weights[c]) continue;
    const at = (lane * channels + c) * size;
    for (let i = 0; i < size; i++) data[i] += weights[c] * table[bytes[at + i]];
  }
  return { data, width, height, top: data.reduce((a, b) => Math.max(a, b), 0) };
}
