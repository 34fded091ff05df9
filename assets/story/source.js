// Where stories and recorded duels come from. A story of a stranger's is fetched only when the visitor agrees; its size
// is bounded, and nothing of the visitor's goes with the request.

import { MOST_BYTES } from "./format.js";

const PATIENCE_MS = 15000;

// The address of a story as a link gives it, of this server or https; null for any other.
export function sourceOf(text) {
  try {
    const url = new URL(text, document.baseURI);
    const isOurs = url.origin === location.origin && /^https?:$/.test(url.protocol);
    return (isOurs || url.protocol === "https:") && !url.username && !url.password ? url : null;
  } catch {
    return null;
  }
}

// The text at an address; Error with a sentence.
export async function fetchText(url) {
  const failed = (why) => new Error(`The story could not be fetched from ${url.host}: ${why}.`);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer", signal: abort.signal })
      .catch(() => { throw failed("there is no answer, or that server allows no other page to read it"); });
    if (!response.ok) throw failed(`it answers ${response.status}`);
    if (!sourceOf(response.url)) throw failed("it leads to an address that is not https");
    return await boundedText(response, failed);
  } finally {
    clearTimeout(timer);
    abort.abort();                    // what is left of a larger answer stays where it is
  }
}

async function boundedText(response, failed) {
  const reader = response.body.getReader();
  const parts = [];
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > MOST_BYTES) throw failed(`it is larger than ${MOST_BYTES / 1024} kB`);
    parts.push(part.value);
  }
  return new Blob(parts).text();
}

// `addressOf` makes the address of a file of the server. Returns what fetches this app's own lesson and recordings.
export function newSource(addressOf) {
  const duels = new Map();            // name -> promise of its message for the viewer
  const get = async (path) => {
    const response = await fetch(addressOf(path));
    if (!response.ok) throw new Error(`The lesson's files could not be loaded (${response.status}).`);
    return response.text();
  };
  // Files of a message have addresses of the server, as Gradio gives them.
  const withAddresses = (_, value) => (typeof value?.path === "string"
    ? { ...value, url: addressOf(`gradio_api/file=${value.path}`) } : value);

  function duel(name) {
    if (!duels.has(name)) {
      const coming = get(`story/recorded/${name}`).then((text) => JSON.parse(text, withAddresses));
      coming.catch(() => duels.delete(name));
      duels.set(name, coming);
    }
    return duels.get(name);
  }

  return { duel, names: async () => JSON.parse(await get("story/recorded")), lesson: () => get("story/story.json") };
}
