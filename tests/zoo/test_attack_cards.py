import logging

import pytest

from rlpips import paths
from rlpips.zoo import attack_cards, cards


def test_an_unknown_attack_is_refused_with_the_names():
    assert attack_cards.card("lpa").metric == "lpips"
    with pytest.raises(ValueError, match="r-lpa"):
        attack_cards.card("square")


def test_matched_bounds_come_from_the_stored_results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "classifiers.json")
    paths.RESULTS.write_text('{"bounds": {"settings": {"matched": {"lpips": 0.5, "rlpips-linf": 0.2}}}}')
    assert attack_cards.matched_bounds() == {"lpips": 0.5, "rlpips-linf": 0.2}
    paths.RESULTS.write_text("{}")
    with pytest.raises(ValueError, match="not measured yet"):
        attack_cards.matched_bounds()


@pytest.mark.parametrize("content", [None, "{", "[]", "\udcff"])
def test_stored_results_that_cannot_be_read_are_an_error_in_the_log_and_a_sentence(
    content, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "classifiers.json")
    cards._log.cache_clear()  # each sentence is logged once
    if content is not None:
        paths.RESULTS.write_bytes(content.encode(errors="surrogateescape"))
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError) as refusal:
        cards.read_results()
    assert "classifiers.json" in caplog.text and "not measured" not in str(refusal.value)
