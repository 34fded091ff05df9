import subprocess
import sys

import pytest

from rlpips import paths
from rlpips.zoo import catalog
from rlpips.zoo.catalog import CATALOG, TRUNKS


def test_every_metric_has_a_name_a_title_a_colour_and_credits():
    assert list(CATALOG)[:3] == ["lpips", "rlpips-linf", "rlpips-l2"]
    assert len([name for name in CATALOG if name.startswith("rlpips-official-")]) == 5
    for name, card in CATALOG.items():
        assert card.name == name and catalog.card(name) is card
        assert all((card.title, card.source, card.licence, card.training.endswith("."), card.paper))
        assert len(bytes.fromhex(card.color.removeprefix("#"))) == 3
        assert set(card.backbones) <= set(TRUNKS)
    assert len({card.title for card in CATALOG.values()}) == len(CATALOG)
    assert CATALOG["lpips"].backbones == ("alex", "vgg", "squeeze")


def test_every_card_has_one_kind_of_weights_or_no_network():
    for card in CATALOG.values():
        kinds = [bool(kind) for kind in (card.heads, card.official, card.packaged, card.weights, card.of)]
        assert sum(kinds) == card.has_network and card.has_network == (card.name not in ("mse", "ssim"))
        for file in (*card.heads.values(), *card.packaged.values(), *([card.weights] if card.weights else [])):
            assert file.sha256 == "" or len(bytes.fromhex(file.sha256)) == 32
        if card.official:
            assert len(bytes.fromhex(card.official.blob_id)) == 20
            assert card.official.url.startswith("https://") and card.official.url.endswith(card.official.file)
            assert card.backbones == ("alex",)


def test_unknown_names_are_refused_with_the_list():
    for bad in ("lipps", "", None, ["lpips"]):
        with pytest.raises(ValueError, match="the metrics are lpips, rlpips-linf, rlpips-l2"):
            catalog.card(bad)
        with pytest.raises(ValueError, match="the backbones are alex, vgg, squeeze"):
            catalog.trunk_card(bad)


def test_the_metrics_of_others_have_their_backbones_and_costs():
    assert CATALOG["dists"].backbones == CATALOG["mse"].backbones == tuple(TRUNKS)  # whichever is chosen
    assert CATALOG["dists"].trunk_of("alex") == "vgg" and CATALOG["lpips"].trunk_of("alex") == "alex"
    assert CATALOG["mse"].trunk_of("alex") == ""
    assert (
        CATALOG["st-lpips"].backbones == ("alex", "vgg") and CATALOG["elpips"].backbones == CATALOG["lpips"].backbones
    )
    assert catalog.cost(("lpips", "mse"), "alex") == 1 and catalog.cost([max], "vgg") == TRUNKS["vgg"].cost
    assert catalog.cost(("lpips", "dists"), "alex") == CATALOG["dists"].cost > TRUNKS["vgg"].cost


def test_the_catalogue_needs_no_torch():
    code = "import sys, rlpips.zoo.catalog, rlpips.data.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT).returncode == 0
