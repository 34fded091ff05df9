import json
import re

from rlpips.ui.early import head

FRAMES = [
    {"lanes": [0, 1], "step": step, "perturbation": {"path": f"/p{step}"}, "maps": {"path": f"/m{step}"}} for step in (0, 7)
] + [{"lanes": [2], "step": 9, "perturbation": {"path": "/noise"}, "maps": {"path": "/of-noise"}}]  # fmt: skip


def test_the_pictures_that_the_opening_shows_are_asked_for_in_the_head_of_the_page():
    message = {"meta": {"reference": {"path": "/r</script>"}, "start": None}, "frames": FRAMES}
    script = head(message)
    asked = json.loads(re.search(r"loadEarly\((\[.*\])\)", script)[1])
    assert asked == ["/r</script>", "/p7", "/m7"] and script.count("</script>") == 1
    assert head(None) == ""
