// Plays the attack, step by step.

const PLAY_SECONDS = 4;               // a whole attack
const SLOW_SECONDS = 20;              // the same for people who prefer less motion

// Returns the function that plays or pauses.
export function newPlayer(root, model, view, act, schedule) {
  return function play() {
    view.playing = !view.playing;
    if (!view.playing) return schedule();
    if (view.step >= model.meta.steps) view.step = 0;
    view.following = false;
    const slow = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pause = (1000 * (slow ? SLOW_SECONDS : PLAY_SECONDS)) / Math.max(1, model.meta.steps);
    let due = performance.now() + pause;
    requestAnimationFrame(function tick(now) {
      if (!view.playing || !root.isConnected) return;
      if (now >= due) {
        due = Math.max(due + pause, now);
        act({ step: view.step + 1, playing: view.step + 1 < model.meta.steps });
      }
      requestAnimationFrame(tick);
    });
    schedule();
  };
}
