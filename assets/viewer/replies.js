// Passes on what the server replies to a viewer, which listens for it on the document.

export function mount({ props, watch }) {
  watch("value", () => props.value && document.dispatchEvent(new CustomEvent("reply", { detail: props.value })));
}
