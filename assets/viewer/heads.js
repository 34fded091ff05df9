// Metrics of LPIPS's kind, computed in the browser. A distance is linear in the weights of the channels:
//     d = sum over channels c of w[c] · q[c],   q[c] the mean squared difference of channel c.
// From the vector q of a picture its distance follows under any weights, without a network.

// What each channel contributes.
export function products(w, q) {
  const parts = new Float64Array(w.length);
  for (let c = 0; c < parts.length; c++) parts[c] = w[c] * q[c];
  return parts;
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);

// Channels from the one with the largest value to the one with the smallest.
export const descending = (values) => Array.from(values.keys()).sort((a, b) => values[b] - values[a]);

// The share of the whole that the k largest values make, for k = 1 … C; null if the whole is 0.
export function cumulative(values) {
  const whole = sum(values), shares = Float64Array.from(values).sort().reverse();
  if (!(whole > 0)) return null;
  let part = 0;
  for (let k = 0; k < shares.length; k++) {
    part += shares[k];
    shares[k] = part / whole;
  }
  return shares;
}

// How many channels, the heaviest first, make a share of a distance.
export const howMany = (shares, share) => shares.findIndex((value) => value >= share - 1e-12) + 1;

// ---- a metric of one's own: a mixture of two metrics' weights, a gain for each layer, and channels that are silent

export const newRecipe = (layers) => ({ share: 0, gains: layers.map(() => 1), silenced: [] });

// Whether this is the first of the two metrics as it is.
export const isPlain = ({ share, gains, silenced }) => !share && !silenced.length && gains.every((gain) => gain === 1);

export function mixedWeights(recipe, a, b, layers) {
  const w = new Float64Array(a.length);
  for (const [l, { first, count }] of layers.entries()) {
    const [ofA, ofB] = [(1 - recipe.share) * recipe.gains[l], recipe.share * recipe.gains[l]];
    for (let c = first; c < first + count; c++) w[c] = ofA * a[c] + ofB * b[c];
  }
  for (const c of recipe.silenced) w[c] = 0;
  return w;
}

// What the silent channels would weigh, and nothing else.
export function silentWeights(recipe, a, b, layers) {
  const all = mixedWeights({ ...recipe, silenced: [] }, a, b, layers), w = new Float64Array(all.length);
  for (const c of recipe.silenced) w[c] = all[c];
  return w;
}

// As text for an address, "0.35;1,1,0.5,1,1;489,512", without what is as in `newRecipe`; and back, null for nonsense.
export function recipeText({ share, gains, silenced }) {
  const number = (value) => String(Number(value.toFixed(3)));
  const parts = [number(share), gains.every((gain) => gain === 1) ? "" : gains.map(number).join(), silenced.join()];
  return parts.join(";").replace(/;+$/, "");
}

export function recipeFrom(text, layers) {
  const [share, gains = "", silenced = ""] = text.split(";");
  const channels = sum(layers.map((layer) => layer.count));
  const numbers = (list) => (list ? list.split(",").map((each) => (each.trim() ? Number(each) : NaN)) : []);
  const recipe = { share: Number(share || NaN), gains: numbers(gains), silenced: [...new Set(numbers(silenced))] };
  if (!gains) recipe.gains = layers.map(() => 1);
  const within = (value, high) => value >= 0 && value <= high;    // NaN is not
  const fits = within(recipe.share, 1) && recipe.gains.length === layers.length
    && recipe.gains.every((gain) => within(gain, MOST_GAIN)) && text.split(";").length <= 3
    && recipe.silenced.every((c) => Number.isInteger(c) && within(c, channels - 1));
  return fits ? recipe : null;
}

export const MOST_GAIN = 4;           // of a layer's slider
