// The way into the story. Its own files are fetched when somebody asks for it, and not before.

// `addressOf` makes the address of a file of the server; `moved` hears where the story is, {scene, from}, null when it
// is closed; `say` shows a sentence. Returns what opens the story where an address says it is, or closes it with null.
export function newStoryDoor(addressOf, moved, say) {
  let story = null, wanted = null;

  return async function door(next) {
    wanted = next;
    if (!story && !next) return;
    try {
      story ??= import(addressOf("story/story.js")).then(({ newStory }) => newStory({ addressOf, moved: heard }));
      const there = await story;
      if (next !== wanted) return;    // another one was asked for meanwhile
      if (next) await there.open(next);
      else there.close();
    } catch {
      story = null;
      say("The lesson could not be loaded. Is the server still there?");
    }
  };

  function heard(next, isNew = true) {
    wanted = next;
    moved(next, isNew);
  }
}
