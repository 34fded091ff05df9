// A viewer of another tab than the first: its script came with the first one's, and need not come twice.

(function begin() {
  if (window.newTraceViewer) window.newTraceViewer(element, props, watch);
  else setTimeout(begin, 50);
})();
