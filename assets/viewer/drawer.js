// The settings of a page in a narrow window (rlpips/ui/components/drawer.py): a sheet that comes up from below. It
// closes by its button, Escape, Run, a tap beside it, or a pull at its head; the focus stays in it, and goes back then.

import { make } from "./dom.js";
import { PHONE } from "./narrow.js";

const ENOUGH = 60;                    // px that the head is pulled down to close the drawer
const STOPS = "a[href], button, input, select, textarea, [tabindex]";

export function mountDrawer() {
  const shade = document.body.appendChild(make("div", { className: "drawer-shade", hidden: true }));
  let drawer = null;                  // the open one
  let opener = null;
  let pulled = null;                  // where the pull at the head began

  function open(button) {
    [opener, drawer] = [button, button.closest(".drawer")];
    drawer.dataset.open = "";
    drawer.role = "dialog";
    drawer.ariaModal = "true";
    drawer.ariaLabel = "Settings";
    told(true);
    drawer.querySelector(".drawer-close").focus();
  }

  function close({ keepsFocus = false } = {}) {
    if (!drawer) return;
    delete drawer.dataset.open;
    drawer.style.translate = "";
    for (const name of ["role", "aria-modal", "aria-label"]) drawer.removeAttribute(name);
    drawer = null;
    told(false);
    if (!keepsFocus || !document.activeElement.checkVisibility()) opener.focus();
  }

  function told(isOpen) {
    shade.hidden = !isOpen;
    // A class, as html:has(…) in a style would make the browser look at the whole page after every change of it.
    document.documentElement.classList.toggle("has-drawer", isOpen);
    opener.ariaExpanded = String(isOpen);
  }

  // The list of a dropdown, and a "?", close first.
  const isBusy = () => drawer.querySelector("input[aria-expanded=true]") || document.querySelector(":popover-open");

  function keepInside(event) {
    const stops = [...drawer.querySelectorAll(STOPS)].filter((each) => each.tabIndex >= 0 && !each.disabled
      && each.checkVisibility({ visibilityProperty: true }));
    const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
    if (document.activeElement !== from && drawer.contains(document.activeElement)) return;
    event.preventDefault();
    to.focus();
  }

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.(".drawer-open");
    if (button && !drawer) open(button);
    else if (target === shade || target.closest?.(".drawer-open, .drawer-close")) close();
    else if (drawer && target.closest?.(".stays button")) close({ keepsFocus: true });
  });
  document.addEventListener("keydown", (event) => {
    if (!drawer) return;
    if (event.key === "Tab") keepInside(event);
    if (event.key !== "Escape" || isBusy()) return;
    close();
    event.preventDefault();           // the story stays
  }, { capture: true });              // before the list of a dropdown has closed

  document.addEventListener("pointerdown", ({ target, clientY }) => {
    if (drawer && target.closest?.(".drawer-head") && !target.closest("button")) pulled = clientY;
  });
  document.addEventListener("pointermove", ({ clientY }) => {
    if (drawer && pulled !== null) drawer.style.translate = `0 ${Math.max(0, clientY - pulled)}px`;
  });
  for (const name of ["pointerup", "pointercancel"])
    document.addEventListener(name, ({ clientY }) => {
      if (pulled === null) return;
      if (clientY - pulled > ENOUGH) close();
      else if (drawer) drawer.style.translate = "";
      pulled = null;
    });
  PHONE.addEventListener("change", () => close());
}
