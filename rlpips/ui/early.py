"""What stands in the head of the page, so that the opening is on the screen sooner: pictures begin to load at once."""

import json

from rlpips.ui.viewer import FOLDER


def head(opening: dict | None) -> str:
    """A script that loads the pictures with which a viewer message opens; nothing where there is none."""
    if opening is None:
        return ""
    meta, pushed = opening["meta"], [frame for frame in opening["frames"] if 0 in frame["lanes"]]
    last = max(pushed, key=lambda frame: frame["step"])
    wanted = [meta["reference"], meta["start"], last["perturbation"], last["maps"]]
    paths = json.dumps([file["path"] for file in wanted if file]).replace("<", "\\u003c")
    return f"<script>{(FOLDER / 'early.js').read_text('utf-8')}loadEarly({paths});</script>"
