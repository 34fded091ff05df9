"""For tests of the story: the files, and changes of the example that its document gives."""

import json

from rlpips import paths

LESSON = (paths.STORY / "story.json").read_text("utf-8")
DOCUMENT = (paths.DOCS / "story.md").read_text("utf-8")
EXAMPLE = json.loads(DOCUMENT.split("```json")[1].split("```")[0])


def put(*way):
    """The example as text, with the last of `way` in the place that the others name."""
    story = json.loads(json.dumps(EXAMPLE))
    value = story
    for step in way[:-2]:
        value = value[step]
    value[way[-2]] = way[-1]
    return json.dumps(story)
