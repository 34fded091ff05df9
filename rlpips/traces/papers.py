"""The papers that a trace stands on. No torch."""

from typing import Any

from rlpips.zoo import catalog, classifier_cards, references
from rlpips.zoo.attack_cards import ATTACKS


def papers(trace: Any) -> list[str]:
    """The keys (`rlpips.zoo.references`) of the papers that a `Trace` stands on, and of no others: its metrics, their networks, the attack,
    the classifier, and the model of the eye that was asked."""
    receipt = trace.receipt
    keys = [key for name in trace.metrics for key in _papers_of_metric(name, receipt["backbone"])]
    if receipt["objective"] == "fool":
        for lane in trace.lanes:
            card = ATTACKS[lane]
            keys += _KINDS[card.kind]
            keys += _papers_of_metric(card.metric, "alex") if card.metric else []
            # The unscaled and the scaled sums are those of the code of R-LPIPS's authors.
            keys += ["ghazanfari2023rlpips"] if "sums" in card.norm else []
        classifier = classifier_cards.CLASSIFIERS.get(receipt["classifier"]["name"])
        keys += [classifier.paper] if classifier else []
    elif receipt["objective"] != "pair":
        keys += ["madry2018towards"] if receipt["schedule"] != "apgd" else ["croce2020reliable"]
        keys += ["xiao2018spatially"] if receipt["norm"] == "flow" else []
    keys += ["andersson2020flip"] if trace.eye else []
    return list(dict.fromkeys(keys))


_KINDS = {
    "pgd": ["madry2018towards"],
    "apgd": ["croce2020reliable"],
    "ppgd": ["laidlaw2021perceptual"],
    "lpa": ["laidlaw2021perceptual"],
    "flow": ["xiao2018spatially"],
    "recolour": ["laidlaw2019functional"],
}


def _papers_of_metric(name: str, backbone: str) -> list[str]:
    """Of a metric, of what it is made of, and of the network under it; none for a metric that the catalogue does not have."""
    if name not in catalog.CATALOG:
        return []
    card = catalog.card(name)
    keys = [card.paper, *([catalog.card(card.of).paper] if card.of else [])]
    trunk = card.trunk_of(backbone)
    return [*keys, catalog.trunk_card(trunk).paper] if trunk else keys


def bibtex(trace: Any) -> str:
    """The BibTeX entries of `papers`."""
    return references.bibtex(papers(trace))
