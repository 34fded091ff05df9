import hashlib
import json
import os

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
        assert card["settings"]["norm"] in name or name == "rlpips-tune"


def test_storing_a_part_of_a_card_keeps_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    (tmp_path / "lpips_alex.json").write_text('{"file": "lpips_alex.safetensors"}')
    cards.store("lpips", "alex", results={"opt": [0.5, 1e-05, 2], "names": ["a, b", "c"], "∞": None})
    assert cards.read("lpips") == {
        "file": "lpips_alex.safetensors",
        "results": {"opt": [0.5, 1e-05, 2], "names": ["a, b", "c"], "∞": None},
    }
    assert "[0.5, 1e-05, 2]" in (tmp_path / "lpips_alex.json").read_text("utf-8")


def test_weights_are_written_with_a_card_that_names_their_digest(tmp_path):
    cards.write(tmp_path / "a.safetensors", b"raw", {"limits": "∞"})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {
        "file": "a.safetensors",
        "sha256": hashlib.sha256(b"raw").hexdigest(),
        "limits": "∞",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.safetensors"}


def test_an_error_between_weights_and_card_leaves_an_older_card_that_is_not_theirs(tmp_path, monkeypatch):
    file, move = tmp_path / "a.safetensors", os.replace
    cards.write(file, b"old", {})

    def fail(part, path):
        if path.suffix == ".json":
            raise OSError("no right to")
        move(part, path)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no right to"):
        cards.write(file, b"new", {})
    assert file.read_bytes() == b"new"
    assert json.loads(file.with_suffix(".json").read_text())["sha256"] == hashlib.sha256(b"old").hexdigest()


@pytest.mark.parametrize("value", [[], [[1, 2], [3]], {"a": [{"b": [1]}]}, ["[1, 2]"], [True, None, -1.5]])
def test_formatted_json_is_json(value):
    assert json.loads(cards.format_json(value)) == value


@pytest.mark.parametrize(
    "content, message", [(None, "missing"), ("", "damaged"), ('{"a": [1, ', "damaged"), ("[]", "hold a JSON object")]
)
def test_a_card_that_cannot_be_read_is_an_error_in_the_log_and_a_sentence(
    content, message, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    cards._log.cache_clear()  # each sentence is logged once
    if content is not None:
        (tmp_path / "lpips_alex.json").write_text(content)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"lpips_alex\.json .*{message}") as refusal:
            cards.read("lpips")
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", str(refusal.value))]
    if content is not None:
        with pytest.raises(ValueError, match=r"lpips_alex\.json"):
            cards.store("lpips", "alex", results={})
        assert (tmp_path / "lpips_alex.json").read_text() == content


def test_a_card_is_of_a_backbone_where_there_is_a_choice():
    assert [cards.path(name).name for name in ("lpips", "mse", "dists", "st-lpips", "elpips")] == [
        "lpips_alex.json", "mse.json", "dists.json", "st-lpips_alex.json", "elpips_alex.json",
    ]  # fmt: skip
    assert cards.path("dists", "vgg").name == "dists.json" and cards.path("elpips", "vgg").name == "elpips_vgg.json"


def test_there_is_no_card_without_heads_of_ours():
    with pytest.raises(ValueError, match="rlpips-official-x0 has no heads file"):
        cards.path("rlpips-official-x0")
    with pytest.raises(ValueError, match="no heads for SqueezeNet"):
        cards.path("rlpips-l2", "squeeze")


def test_stored_results_are_read_or_refused_in_a_sentence(tmp_path):
    (tmp_path / "dial.json").write_text('{"rlpips-linf": {}}')
    assert cards.read_stored(tmp_path / "dial.json") == {"rlpips-linf": {}}
    (tmp_path / "dial.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"dial\.json in assets/weights should hold a JSON object"):
        cards.read_stored(tmp_path / "dial.json")
    with pytest.raises(ValueError, match=r"transfer\.json is missing from assets/weights"):
        cards.read_stored(tmp_path / "transfer.json")
