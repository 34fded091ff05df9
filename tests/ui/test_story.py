"""The story without the app: its file and its document, hostile files, where a story may come from, the task, and what the server
gives."""

import json
import re

from fastapi import FastAPI
from fastapi.testclient import TestClient
from stories import DOCUMENT, EXAMPLE, LESSON, put

from rlpips.ui.pages import story

# Of each text: the number of scenes, or the sentence why it is refused.
READ = """async ([texts, names]) => {
  const { readStory } = await import("/story/format.js");
  return texts.map((text) => { try { return readStory(text, names).scenes.length; } catch (error) { return error.message; } });
}"""

SOURCE = """async (texts) => {
  const { sourceOf } = await import("/story/source.js");
  return texts.map((text) => sourceOf(text)?.href ?? null);
}"""

FETCH = """async (text) => {
  const { fetchText, sourceOf } = await import("/story/source.js");
  return fetchText(sourceOf(text)).catch((error) => error.message);
}"""

# Shows duels to a task one after the other, each (eps, distance, state, changes of meta); returns what it says after each.
ATTEMPTS = """async ([task, duels]) => {
  const { newAttempts } = await import("/story/task.js");
  const attempts = newAttempts(task);
  const ruler = { metrics: ["lpips"], distortions: [{ name: "jpeg", title: "JPEG", words: ["JPEG quality 50", "JPEG quality 12",
    "JPEG quality 8"], distance: [[0.1], [0.2], [0.4]] }] };
  return duels.map(([eps, distance, state = "done", meta = {}], run) => {
    attempts.look({ run, state, ruler, curve: { distance: [[[0]], [[distance]]] }, meta: { name: "cat", objective: "away",
      norm: "linf", eps: eps / 255, steps: 40, seed: 0, metrics: ["lpips"], lanes: ["lpips"], ...meta } });
    const { reached, best, says } = attempts.says();
    return [reached, best.figure, says];
  });
}"""


def read(blank, *texts):
    return blank.evaluate(READ, [list(texts), list(story.duels())])


def test_the_lesson_and_the_example_of_the_document_are_stories(blank):
    assert read(blank, LESSON, json.dumps(EXAMPLE)) == [7, 2]


def test_no_number_is_typed_into_the_lesson():
    """What is measured comes from the trace; other numbers are bounds of choices and the strengths that a question names."""
    for scene in json.loads(LESSON)["scenes"]:
        assert "{" in scene["reveal"]["number"]
        for part in ("number", "unit", "text"):
            bare = re.sub(r"\{[\w.]+\}", "", scene["reveal"].get(part, ""))
            assert re.findall(r"\d+", bare) in ([], ["255"], ["10"], ["16"]), bare


def test_the_document_lists_every_value(blank):
    listed = re.findall(
        r"^\| `(\w+)` \| (.+) \| (number|text) \| (yes)? ?\|$", DOCUMENT.split("## Values")[1], re.MULTILINE
    )
    values = blank.evaluate(
        """async () => Object.entries((await import("/story/values.js")).VALUES)
          .map(([name, { says, measured, pictures }]) => [name, says, measured ? "number" : "text", pictures ? "yes" : ""])"""
    )
    assert [list(row) for row in listed] == values


HOSTILE = {
    '{"a": \n [}': "line 2, character 3",
    "": "line 1, character 1",
    "[" * 60000: "not valid JSON",
    "null": "the whole must be an object",
    json.dumps("x" * 70000): "may have 64 kB",
    put("scenes", []): "scenes must be a list",
    put("scenes", [EXAMPLE["scenes"][0]] * 41): "scenes must be a list [ ] of 1 to 40",
    put("scenes", 0, "trace", "../../etc/passwd"): "scenes[0].trace must be the name of a recorded duel",
    put("scenes", 0, "trace", ["chelsea-away-linf-4"]): "scenes[0].trace must be the name of a recorded duel",
    put("scenes", 0, "light", ["body"]): "scenes[0].light[0] must be one of",
    put("scenes", 0, "onclick", "alert(1)"): "scenes[0].onclick is not a key",
    put("scenes", 0, "view", {"onload": "x"}): "scenes[0].view.onload must be left out",
    put("scenes", 0, "view", {"zoom": "999,1,1"}): "scenes[0].view.zoom must be",
    put("scenes", 0, "sentence", {"html": "<b>"}): "scenes[0].sentence must be a text",
    put("scenes", 0, "sentence", "x" * 401): "scenes[0].sentence must be a text of 1 to 400",
    put("scenes", 0, "sentence", "{constructor}"): "scenes[0].sentence names {constructor}",
    put("scenes", 0, "ask", "value", "__proto__"): "scenes[0].ask.value must be the name of a value",
    put("scenes", 0, "ask", "choices", []): "scenes[0].ask.choices must be a list [ ] of 2 to 4",
    put("scenes", 0, "ask", "choices", 0, "from", 20): "scenes[0].ask.choices[0] must be a range",
    put("scenes", 0, "ask", "slider", {"from": 0, "to": 1e9, "step": 1}): "scenes[0].ask must be with either",
    put("scenes", 0, "task", "within", -1): "scenes[0].task.within must be a number above 0",
    put("scenes", 1, "reveal", "text", "{cat.overlap}"): "scenes[1].reveal.text names {cat.overlap}",
    put("scenes", 1, "also", {"a b": "chelsea-away-linf-4"}): "scenes[1].also must be",
    json.dumps(EXAMPLE).replace('"title"', '"__proto__": {}, "title"', 1): "__proto__ is not a key",
}


def test_a_hostile_file_is_refused_with_its_place(blank):
    for (text, says), sentence in zip(HOSTILE.items(), read(blank, *HOSTILE), strict=True):
        assert says in str(sentence), (text[:200], sentence)


def test_an_address_says_which_scene_of_which_story(blank):
    hashes = [
        "#story",
        "#story?scene=3&from=https://a.example/b.json&hide=tabs",
        "#story?scene=0&eps=4",
        "#duel?scene=3",
    ]
    lesson, other, bad, none = blank.evaluate(
        """async (hashes) => {
          const { format, parse } = await import("/viewer/address_text.js");
          return hashes.map((hash) => parse(hash, { pages: ["duel", "how"], keys: {} }))
            .map((found) => ({ ...found, again: format({ ...found, texts: {}, view: {} }) }));
        }""",
        hashes,
    )
    assert lesson["page"] == "duel" and lesson["story"] == {"scene": 1, "from": ""} and lesson["again"] == "#story"
    assert other["story"] == {"scene": 3, "from": "https://a.example/b.json"} and other["faults"] == []
    assert other["again"] == "#story?scene=3&from=https%3A%2F%2Fa.example%2Fb.json&hide=tabs"
    assert bad["story"] == {"scene": 1, "from": ""} and bad["faults"] == [
        "scene cannot be 0",
        "the story has no key eps",
    ]
    assert none["story"] is None and none["again"] == "#duel"


def test_where_a_story_may_come_from(blank):
    here = blank.evaluate("location.origin")
    allowed = {"https://example.org/a.json": "https://example.org/a.json", "lessons/a.json": f"{here}/lessons/a.json"}
    refused = ["http://example.org/a.json", "javascript:alert(1)", "data:application/json,{}", "file:///etc/passwd",
               "https://me:secret@example.org/", "blob:https://example.org/x", "//example.org/a.json", "https://"]  # fmt: skip
    assert blank.evaluate(SOURCE, [*allowed, *refused]) == [*allowed.values(), *[None] * len(refused)]


def test_what_is_fetched_is_bounded(blank):
    def answer(route):
        size = 70_000 if "large" in route.request.url else 60_000
        assert "cookie" not in route.request.headers and "referer" not in route.request.headers
        route.fulfill(status=404 if "none" in route.request.url else 200, body="x" * size)

    blank.route("**/lessons/*", answer)
    assert blank.evaluate(FETCH, "lessons/fine.json") == "x" * 60_000
    assert "larger than 64 kB" in blank.evaluate(FETCH, "lessons/large.json")


def test_the_smallest_eps_is_found_between_one_that_does_it_and_one_that_does_not(blank):
    task = {"value": "lpips_quality", "to": 10, "least": "eps", "within": 0.5, "where": {"norm": "linf"}}
    duels = [
        (4, 0.5, "running"), (4, 0.5, "done", {"norm": "l2"}), (4, 0.5), (1, 0.1), (2, 0.2), (3, 0.39),
        (2.5, 0.2, "done", {"seed": 1}), (2.5, 0.2),
    ]  # fmt: skip
    said = blank.evaluate(ATTEMPTS, [task, duels])
    assert [figure for _, figure, _ in said] == ["?", "?", "4", "4", "4", "3", "?", "3"]
    assert [reached for reached, _, _ in said] == [False] * 7 + [True]
    assert said[0][2].startswith("No duel that counts yet")
    assert said[3][2] == "eps 1 does not (JPEG quality 50). The smallest so far is 4, and 1 does not: try one between."
    assert said[5][2].startswith("eps 3 does it (JPEG quality 8).")
    assert said[6][2] == "eps 2.5 does not (JPEG quality 12). None has done it so far: try a larger eps."
    assert said[7][2] == "Reached: 3 does it, and 2.5 does not. Duels: 6."


def test_the_server_gives_recorded_duels_and_nothing_else(served):
    app = FastAPI(routes=story.ROUTES)
    client = TestClient(app)
    names = client.get("/story/recorded").json()
    assert "astronaut-away-linf-4" in names and "astronaut-away-linf-8" in names and "questions" not in names
    message = client.get("/story/recorded/astronaut-away-linf-8").json()
    assert message["state"] == "recorded" and round(message["meta"]["eps"] * 255) == 8
    for path in ("recorded/..%2Fscores", "recorded/nothing", "recorded/..%2f..%2fREADME", "..%2fviewer%2fviewer.js"):
        assert client.get(f"/story/{path}").status_code == 404
    assert "## A scene" in client.get("/story/format").text
