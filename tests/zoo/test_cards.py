import hashlib
import json

import pytest

from rlpips import paths
from rlpips.zoo import cards, catalog

OURS = [(name, backbone) for name in catalog.CATALOG for backbone in catalog.CATALOG[name].heads]


@pytest.mark.parametrize("name, backbone", OURS)
def test_every_heads_file_has_a_card_that_belongs_to_it(name, backbone):
    card, heads = cards.read(name, backbone), catalog.card(name).heads[backbone]
    assert card["file"] == heads.file and card["sha256"] == heads.sha256
    assert hashlib.sha256((paths.WEIGHTS / heads.file).read_bytes()).hexdigest() == heads.sha256
    assert len(card["data"]) > 20 and len(card["limits"]) > 20
    if name != "lpips":
        assert card["settings"]["backbone"] == backbone and isinstance(card["settings"]["seed"], int)
        assert card["settings"]["norm"] in name


def test_a_part_is_stored_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    (tmp_path / "lpips_alex.json").write_text('{"file": "lpips_alex.safetensors"}')
    cards.store("lpips", "alex", results={"opt": [0.5, 1e-05, 2], "names": ["a, b", "c"], "∞": None})
    assert cards.read("lpips") == {
        "file": "lpips_alex.safetensors",
        "results": {"opt": [0.5, 1e-05, 2], "names": ["a, b", "c"], "∞": None},
    }
    assert "[0.5, 1e-05, 2]" in (tmp_path / "lpips_alex.json").read_text("utf-8")


@pytest.mark.parametrize("value", [[], [[1, 2], [3]], {"a": [{"b": [1]}]}, ["[1, 2]"], [True, None, -1.5]])
def test_what_is_written_is_json(value):
    assert json.loads(cards.format_json(value)) == value


def test_there_is_no_card_for_what_is_not_ours():
    with pytest.raises(ValueError, match="rlpips-official-x0 has no heads file"):
        cards.path("rlpips-official-x0")
    with pytest.raises(ValueError, match="no heads for SqueezeNet"):
        cards.path("rlpips-l2", "squeeze")
