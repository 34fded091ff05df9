// Copy link, and its QR code for whoever sits in the back row.

const SAID_MS = 2500;
export const SPACES = "https://huggingface.co";

export const isLocal = () => /^(localhost|127\.|\[::1\])/.test(location.hostname);

export function isInSpaces() {
  if (window.parent === window) return false;
  const above = location.ancestorOrigins?.[0] ?? new URL(document.referrer || "about:blank").origin;
  return above === SPACES;
}

// The link of a state of the page, for others; `space` is the app's name on Spaces.
export const pageLink = (hash, space) =>
  (isInSpaces() && space ? `${SPACES}/spaces/${space}` : location.origin + location.pathname) + hash;

// `link()` is the address of what is on show; `addressOf` makes the address of a file of the server.
export function mountShare(root, link, addressOf) {
  const copy = root.querySelector("#copy-link");
  const label = copy.querySelector("span");
  const dialog = root.querySelector("#qr-dialog");
  const [image, text, note] = ["img", ".qr-link", ".qr-note"].map((name) => dialog.querySelector(name));
  const name = label.textContent;
  let timer = 0;

  function show() {
    const url = link();
    image.src = addressOf(`viewer/qr?link=${encodeURIComponent(url)}`);
    text.textContent = url;
    note.hidden = !isLocal();
    dialog.showModal();
  }

  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(link());
    } catch {                         // not allowed in this frame, or by this browser
      return show();
    }
    label.textContent = "Link copied";
    clearTimeout(timer);
    timer = setTimeout(() => { label.textContent = name; }, SAID_MS);
  });
  root.querySelector("#qr").addEventListener("click", show);
}
