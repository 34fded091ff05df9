"""Reads the receipt of a trace that may come from a stranger: its settings, versions and digests."""

from collections.abc import Callable
from typing import Any

from rlpips.traces.plain import list_of, real, require, text, whole
from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

_MOST_BOUND = 10_000  # of an attack on a classifier: more than the l2 norm of any picture


def read_receipt(value: Any) -> dict[str, Any]:
    """The known entries of a receipt, each of its type."""
    receipt = {key: _RECEIPT[key](entry) for key, entry in value.items() if key in _RECEIPT and entry is not None}
    objective = receipt.get("objective", "")
    if objective in ("away", "toward"):
        receipt.setdefault("schedule", "fixed")  # the only one that there was
    require("objective" not in receipt or objective in _NEEDED, "its objective is unknown")
    needed = ["objective", "steps", "backbone", "device", "precision", *_NEEDED.get(objective, ())]
    missing = [key for key in needed if key not in receipt]
    require(not missing, f"its receipt lacks {', '.join(missing)}")
    require(objective not in ("away", "toward") or receipt["norm"] in ("linf", "l2", "flow"), "its norm is unknown")
    require((receipt["steps"] == 0) == (objective == "pair"), "its number of steps does not fit its objective")
    require(bool(receipt.get("attacks")) == (objective == "fool"), "its attacks do not fit its objective")
    require(receipt["backbone"] in catalog.TRUNKS, "its backbone is unknown")
    return receipt


def _digests(value):
    return {metric: text(digest) for metric, digest in value.items()}


def _attack(value):
    """The settings of one attack on a classifier; its title, metric and unit come from its card, not from the file."""
    name, bound = text(value["name"]), real(value["bound"])
    require(name in ATTACKS, "its attacks are not known here")
    card = ATTACKS[name]
    require(0 < bound <= _MOST_BOUND, f"a bound above zero, and at most {_MOST_BOUND}, was expected")
    return {
        "name": name, "title": card.title, "metric": card.metric, "bound": bound, "unit": card.unit,
        "steps": whole(value["steps"]),
    }  # fmt: skip


_NEEDED = {
    **dict.fromkeys(("away", "toward"), ("norm", "eps", "restarts", "seed")),
    "pair": (),
    "fool": ("attacks", "classifier", "restarts", "seed"),
}


_RECEIPT: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("objective", "norm", "schedule", "backbone", "device", "precision", "rlpips", "torch"), text),
    **dict.fromkeys(("reference_sha256", "start_sha256"), text),
    **dict.fromkeys(("steps", "restarts", "seed"), whole),
    **dict.fromkeys(("eps", "step_size"), real),
    "weights": _digests,
    "classifier": lambda value: {key: text(value[key]) for key in ("name", "title", "sha256")},
    "label_from": text,
    "attacks": lambda value: list_of(value, _attack),
    "restart_kept": lambda value: list_of(value, whole),
    "notes": lambda value: list_of(value, lambda note: text(note, 1000)),
}  # fmt: skip
