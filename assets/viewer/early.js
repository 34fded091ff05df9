// In the head of the page, before Gradio's scripts have arrived: the opening's pictures are fetched and decoded while the
// main thread waits for those. `paths` are the files' paths on the server.
function loadEarly(paths) {
  const load = async (path) => {
    const response = await fetch(`gradio_api/file=${path}`);
    if (!response.ok) throw new Error();
    return createImageBitmap(await response.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  };
  window.earlyPictures = new Map(paths.map((path) => [path, load(path).catch(() => null)]));   // decode.js asks again
}
