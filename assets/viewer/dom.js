// Small helpers that build nodes of the page.

export function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function makeSvg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const said = new WeakMap();

// Writes the text of a node, if it is another than the last, where that stands: nothing else is laid out again.
export function say(node, text) {
  if (said.get(node) === text) return;
  said.set(node, text);
  if (node.childNodes.length === 1 && node.firstChild.nodeType === Node.TEXT_NODE) node.firstChild.data = text;
  else node.textContent = text;
}

export function fromTemplate(root, name) {
  return root.querySelector(`.rv-${name}-template`).content.firstElementChild.cloneNode(true);
}

// The entries of a <select>, from pairs of value and text.
export const options = (pairs, selected) =>
  pairs.map(([value, text]) => new Option(text, value, false, String(value) === String(selected)));
