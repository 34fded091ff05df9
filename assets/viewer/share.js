// Copy link, and its QR code for whoever sits in the back row.

const SAID_MS = 2500;

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
    note.hidden = !/^(localhost|127\.|\[::1\])/.test(location.hostname);
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
