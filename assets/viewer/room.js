// What a browser says of itself when it answers in a room of "You be the judge": the room, and a token that nobody else
// has.

const TOKEN = "rlpips-token";

// The code of the room in the page's address; "" for none.
export const roomNow = () => new URLSearchParams(location.hash.split("?")[1] ?? "").get("room") ?? "";

// The same for as long as this browser tab lives, so that it votes once on a question.
function token() {
  let known = null;
  try { known = sessionStorage.getItem(TOKEN); } catch { /* not allowed in this frame */ }
  known ??= [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try { sessionStorage.setItem(TOKEN, known); } catch { /* the same */ }
  return known;
}

// What goes with an answer.
export const voteOf = () => (roomNow() ? { room: roomNow(), token: token() } : {});
