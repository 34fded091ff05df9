"""The papers, and their BibTeX."""

import re

import pytest

from rlpips.zoo import references
from rlpips.zoo.catalog import CATALOG, TRUNKS
from rlpips.zoo.classifier_cards import CLASSIFIERS
from rlpips.zoo.references import REFERENCES


def fields(entry):
    """{field: value} of a BibTeX entry; its braces must be balanced."""
    depth = 0
    for brace in re.findall(r"[{}]", entry):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0 and entry.startswith("@") and entry.endswith("\n}")
    return dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))


@pytest.mark.parametrize("each", REFERENCES.values(), ids=REFERENCES)
def test_every_paper_has_a_whole_entry(each):
    entry = fields(each.bibtex)
    assert each.bibtex.isascii()  # what older BibTeX reads
    assert entry["author"] and entry["title"].strip("{}") and entry["year"] == str(each.year)
    held = {"inproceedings": "booktitle", "article": "journal", "book": "publisher", "misc": "eprint"}[each.kind]
    assert entry[held]
    assert each.kind == "book" or re.match(r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}|doi\.org/10\.)", each.url)
    assert str(each.year) in each.key and all(len(name.split()) > 1 for name in each.author.split(" and "))


def test_every_card_names_a_paper():
    for card in (*CATALOG.values(), *CLASSIFIERS.values(), *TRUNKS.values()):
        assert references.reference(card.paper).title
    assert references.reference(CATALOG["rlpips-linf"].paper).arxiv == "2307.15157"


def test_names_are_written_as_each_place_needs_them():
    kettunen = references.reference("kettunen2019elpips")
    assert kettunen.authors == "M. Kettunen, E. Härkönen, J. Lehtinen"
    assert r"H{\"a}rk{\"o}nen" in kettunen.bibtex
    assert references.reference("xiao2018spatially").authors.startswith("C. Xiao, J.-Y. Zhu")
    assert references.reference("mantiuk2024colorvideovdp").authors.startswith("R. K. Mantiuk")


def test_entries_come_once_and_an_unknown_key_is_refused():
    text = references.bibtex(["zhang2018lpips", "wang2004ssim", "zhang2018lpips"])
    assert re.findall(r"@\w+\{(\w+),", text) == ["zhang2018lpips", "wang2004ssim"]
    for bad in ("nobody1999", None, ["zhang2018lpips"]):
        with pytest.raises(ValueError, match="the papers are zhang2018lpips"):
            references.bibtex([bad])
