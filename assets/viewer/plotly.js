// Plotly, loaded once for the page, when the first chart is to be drawn: 4.8 MB, 1.4 compressed.

let promise = null;

export function loadPlotly(url) {
  promise ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: url, async: true });
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error("no Plotly in its file")));
    script.onerror = () => reject(new Error("Plotly could not be loaded"));
    document.head.append(script);
  });
  return promise;
}
