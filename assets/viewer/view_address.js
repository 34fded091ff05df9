// What an address says of a viewer: a key for everything that a visitor can set in it. A new one is one more line.
//
// read  the value that a text is, or undefined
// of    its text for a view and its model, or null for the default
// to    the change of the view that a value makes, or undefined, which stands for the default

import { FACTORS, fittingFactor } from "./amplification.js";
import { isPlain, newRecipe, recipeFrom, recipeText } from "./heads.js";
import { ALL, GRID } from "./layers.js";
import { hasLayerMaps } from "./maps.js";
import { lastStep } from "./model.js";
import { channelAt, channelText, layersOf, pairOn } from "./opened.js";

const whole = (low, high) => (text) => {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return value >= low && value <= high ? value : undefined;
};
const among = (...names) => (text) => (names.includes(text) ? text : undefined);
const aName = (text) => (/^[\w -]{1,40}$/.test(text) ? text : undefined);
const hasTrunks = (model) => Boolean(model.meta.trunks?.length);

// A property of the view as it is; `first` is the default.
const plain = (property, first, read) => ({
  read,
  of: (view) => (view[property] === first ? null : view[property]),
  to: (value = first) => ({ [property]: value }),
});

// What the column at `index` shows: the name of a lane.
const lane = (index) => ({
  read: aName,
  of: ({ lanes }, model) => (lanes.length < 2 || lanes[index] === index ? null : model.meta.lanes[lanes[index]]),
  to: (value, model, view) => {
    const found = model.meta.lanes.indexOf(value);
    return { lanes: view.lanes.map((old, i) => (i !== index ? old : found < 0 ? index : found)) };
  },
});

export const VIEW_KEYS = {
  step: {
    read: whole(0, 10000),
    of: (view) => (view.following ? null : view.step),
    to(value = Infinity, model) {
      const step = Math.min(lastStep(model), value);
      return { step, following: step === lastStep(model), playing: false };
    },
  },
  left: lane(0),
  right: lane(1),
  scale: plain("scale", "own", among("own", "common", "log")),
  layer: {                            // a place, counted from 1, or all of them side by side
    read: (text) => (text === GRID ? text : whole(1, 20)(text)),
    of: ({ layer }) => (layer === ALL ? null : layer === GRID ? GRID : layer + 1),
    to: (value, model) => ({ layer: !hasLayerMaps(model) ? ALL
      : value === GRID ? GRID : model.meta.layers[value - 1] ? value - 1 : ALL }),
  },
  moves: { read: among("0"), of: (view) => (view.moves ? null : "0"), to: (value) => ({ moves: value !== "0" }) },
  inside: { read: among("1"), of: (view) => (view.inside ? "1" : null), to: (value) => ({ inside: value === "1" }) },
  // In the opened metric: the picture, the network, counted from 1, the order of the channels, "weight,lpips", the
  // channel, "conv3.233", and the position, in pixels.
  lane: {
    read: aName,
    of: ({ insideLane }, model) => (insideLane ? model.meta.lanes[insideLane] : null),
    to: (value, model) => ({ insideLane: Math.max(0, model.meta.lanes.indexOf(value)) }),
  },
  network: {
    read: whole(1, 20),
    of: ({ trunk }) => (trunk ? trunk + 1 : null),
    to: (value, model) => ({ trunk: model.meta.trunks?.[value - 1] ? value - 1 : 0 }),
  },
  sort: {
    read: (text) => (/^(difference|(product|weight),[\w -]{1,40})$/.test(text) ? text : undefined),
    of: ({ sort }, model) => (sort === "both" ? null : sort.replace(/ (.*)/, (_, m) => `,${model.meta.metrics[m]}`)),
    to(value = "both", model, view) {
      const [kind, name] = value.split(",");
      const metric = hasTrunks(model) && pairOn(model, view.trunk).find((m) => model.meta.metrics[m] === name);
      return { sort: !name ? kind : Number.isInteger(metric) ? `${kind} ${metric}` : "both" };
    },
  },
  channel: {
    read: (text) => (/^[\w-]{1,30}\.\d{1,4}$/.test(text) ? text : undefined),
    of: ({ channel, first, trunk, place }, model) => (channel === null || (channel === first && !place) ? null
      : channelText(layersOf(model, trunk), channel)),
    to: (value, model, view) =>
      ({ channel: value && hasTrunks(model) ? channelAt(layersOf(model, view.trunk), value) : null }),
  },
  place: {
    read: (text) => (/^\d{1,5},\d{1,5}$/.test(text) ? text.split(",").map(Number) : undefined),
    of: ({ place }, { meta }) =>
      place && [place[0] * meta.width, place[1] * meta.height].map(Math.floor).join(),
    to: (value, { meta }) => ({ place: value && value[0] < meta.width && value[1] < meta.height
      ? [(value[0] + 0.5) / meta.width, (value[1] + 0.5) / meta.height] : null }),
  },
  // A metric of one's own: the share of the second metric; the gains of the layers; the silent channels.
  yours: {
    read: (text) => (/^[\d.,;]{1,800}$/.test(text) ? text : undefined),
    of: ({ recipe }) => (recipe && !isPlain(recipe) ? recipeText(recipe) : null),
    to: (value, model, view) => {
      const layers = hasTrunks(model) ? layersOf(model, view.trunk) : [];
      return { recipe: (value && recipeFrom(value, layers)) || newRecipe(layers) };
    },
  },
  amplify: {
    read: (text) => FACTORS.find((factor) => String(factor) === text),
    of: (view, model) => (view.factor === fittingFactor(model) ? null : view.factor),
    to: (value, model) => ({ factor: value ?? fittingFactor(model) }),
  },
  against: {
    read: among("start", "reference"),
    of: (view, model) => (model.meta.start && view.against === "reference" ? "reference" : null),
    to: (value, model) => ({ against: model.meta.start ? value ?? "start" : "reference" }),
  },
  ruler: {
    read: aName,
    of: (view) => (view.wanted === "jpeg" ? null : view.wanted),
    to: (value, model) => {
      const known = model.ruler?.distortions.some(({ name }) => name === value) ? value : "jpeg";
      return { ruler: known, wanted: known };
    },
  },
  // Large, in the whole window: the pictures or their maps; and one picture alone, by column and place.
  projector: {
    read: (text) => (text === "maps" ? text : /^1?$/.test(text) ? "pictures" : undefined),
    of: ({ projector }) => (projector === "pictures" ? "1" : projector),
    to: (value = null, _, view) => ({ projector: value, ...(value && view.layer === GRID && { layer: ALL }) }),
  },
  alone: {
    read: (text) => (/^[01],\d{1,2}$/.test(text) ? text.split(",").map(Number) : undefined),
    of: ({ alone }) => alone?.join(",") ?? null,
    to: (value = null) => ({ alone: value }),
  },
  log: { read: among("0"), of: (view) => (view.log ? null : "0"), to: (value) => ({ log: value !== "0" }) },
  wipe: {
    read: whole(0, 100),
    of: (view) => (Math.round(100 * view.wipe) === 50 ? null : Math.round(100 * view.wipe)),
    to: (value = 50) => ({ wipe: value / 100 }),
  },
  // How many times, and the middle of what is in sight, in hundredths of the picture: zoom=4,31,62.
  zoom: {
    read: (text) => {
      const isZoom = /^\d{1,2}(\.\d{1,2})?(,\d{1,3}(\.\d)?){2}$/.test(text);
      const [times, ...middle] = isZoom ? text.split(",").map(Number) : [];
      return times >= 1 && times <= 32 && middle.every((part) => part <= 100) ? [times, ...middle] : undefined;
    },
    of: ({ zoom }) => (zoom.scale === 1 ? null
      : [zoom.scale.toFixed(2), ...[zoom.x, zoom.y].map((at) => ((100 * (0.5 - at)) / zoom.scale).toFixed(1))]
        .map(Number).join(",")),
    to: ([scale, x, y] = [1, 50, 50]) => ({ zoom: { scale, x: 0.5 - (x / 100) * scale, y: 0.5 - (y / 100) * scale } }),
  },
};

export function textsOf(view, model) {
  const texts = Object.entries(VIEW_KEYS).map(([key, { of }]) => [key, of(view, model)]);
  return Object.fromEntries(texts.filter(([, text]) => text !== null));
}

const viewers = new Map();            // id of the component -> { open(values), texts(), … } (see viewer.js)
const wanted = new Map();             // id -> { values, run }: to show as soon as it shows that run, or any

// A viewer says so when it is there, when it begins to show another run, and when its view has changed.
export const register = (id, viewer) => viewers.set(id, viewer);
export const tell = (id, what, detail = {}) =>
  document.dispatchEvent(new CustomEvent(`viewer-${what}`, { detail: { id, ...detail } }));

export function takeWanted(id, run) {
  const found = wanted.get(id);
  if (!found || (found.run && found.run !== run)) return null;
  wanted.delete(id);
  return found.values;
}

// Show values in a viewer: now, or as soon as it shows a run, which may have to be a certain one.
export function want(id, values, run = null) {
  wanted.delete(id);
  if (!viewers.get(id)?.open(values, run)) wanted.set(id, { values, run });
}

export const viewTexts = (id) => viewers.get(id)?.texts() ?? {};
export const viewerOf = (id) => viewers.get(id);
