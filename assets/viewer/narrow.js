// The narrow window, a phone's or one at 200 %, as in phone.css and touch.css.
export const PHONE = matchMedia("screen and (max-width: 700px)");
