"""The results of `rlpips.evaluate` in sentences: above each chart, and in place of it for readers who cannot see it.
Every number comes from the results."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rlpips.evaluate import tables
from rlpips.zoo import catalog

Results = Mapping[str, Any]  # {metric: the part "results" of its card}
Entries = Mapping[str, Any]  # {metric: its results at one budget}


def title(name: str) -> str:
    """The title of a metric, or of the pixels."""
    return catalog.card(name).title


def percent(share: float) -> str:
    """A share in percent: "94 %"."""
    return f"{share:.0%}".replace("%", " %")


def joined(parts: Iterable[str]) -> str:
    """ "a, b and c"."""
    parts = list(parts)
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def sweep(results: Results, norm: str, key: str) -> str:
    """On `charts.sweep`: the result at the standard budget, or at the largest so far."""
    entries = _headline(results, norm)
    if not entries:
        return "The budget of the attack grows from left to right."
    budget = _budget(entries, norm)
    if key == "inflation":
        each = joined(f"{entry['inflation']['value']:.2f} to {title(name)}" for name, entry in entries.items())
        return f"On average the worst change found within {budget} looks as far as so many natural distortions: {each}."
    attacked = joined(f"by {title(name)} in {percent(entry['2afc']['value'])}" for name, entry in entries.items())
    natural = joined(percent(results[name]["natural"]["2afc"]["value"]) for name in entries)
    return (
        f"One candidate attacked within {budget}, the nearer picture is still found {attacked} of the triplets; "
        f"without an attack in {natural}. Guessing finds 50 %."
    )


def _headline(results: Results, norm: str) -> Entries:
    """{metric: entry} at the standard budget; until that is measured, at the largest that all metrics have."""
    entries = {name: {entry["eps"]: entry for entry in result["attacked"][norm]} for name, result in results.items()}
    standard = {name: entry for name, result in results.items() if (entry := tables.standard(result, norm))}
    if entries and len(standard) < len(entries):
        common = set.intersection(*map(set, entries.values()))
        standard = {name: by_eps[max(common)] for name, by_eps in entries.items()} if common else standard
    return standard


def opt(entries: Entries, norm: str) -> str:
    """On `charts.opt`: the medians, and how many pictures look further than a natural distortion."""
    changes = {name: entry["opt"] for name, entry in entries.items() if entry["opt"]}
    if not changes:
        return "Nothing was measured at this budget."
    pictures = joined(dict.fromkeys(str(len(values)) for values in changes.values()))
    medians = joined(f"to {title(name)} {np.median(values):.2f}" for name, values in changes.items())
    further = joined(percent(float(np.mean(np.array(values) > 1))) for values in changes.values())
    return (
        f"Each of {pictures} pictures was changed within {_budget(entries, norm)} so as to look as different as "
        f"possible. Measured in average natural distortions the median change is {medians}; {further} of the pictures "
        "look further than one."
    )


def families(results: Results, entries: Entries, norm: str) -> str:
    """On the table by family: each metric's hardest one, where it does worse than guessing, and the worst without an attack."""
    parts = []
    for name, entry in entries.items():
        values = {family: interval["value"] for family, interval in entry["families"].items()}
        hardest, worse = min(values, key=lambda family: values[family]), sum(value < 0.5 for value in values.values())
        parts.append(
            f"{title(name)} does worst on {hardest} ({percent(values[hardest])}) and "
            + (f"falls below guessing on {worse} of {len(values)}" if worse else "stays above guessing on all")
        )
    if not parts:
        return "Nothing was measured at this budget."
    natural = [value["value"] for name in entries for value in results[name]["natural"]["families"].values()]
    return (
        f"Under attack with {_budget(entries, norm)}, {'; '.join(parts)}. Without an attack (the tick) all are right on at least "
        f"{percent(min(natural))} of every family."
    )


def layers(results: Results) -> str:
    """On `charts.layers`: the heaviest layer of each metric."""
    heaviest = {
        name: max(result["layers"], key=result["layers"].get)
        for name, result in results.items()
        if result.get("layers")
    }
    each = (
        f"{title(name)} takes {percent(results[name]['layers'][layer])} from {layer}"
        for name, layer in heaviest.items()
    )
    return f"Largest share of the distance to natural distortions: {joined(each)}." if heaviest else ""


def weights(heads: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """On `charts.weights`: how few channels carry half of the weight, and how much lies in the first layer."""
    half, first = [], []
    for name, of_layer in heads.items():
        values = np.sort(np.concatenate(list(of_layer.values())))[::-1]
        count = int(np.searchsorted(np.cumsum(values), values.sum() / 2)) + 1
        half.append(f"{count} of {len(values)} channels in {title(name)}")
        first.append(f"{percent(next(iter(of_layer.values())).sum() / values.sum())} in {title(name)}")
    layer = next((layer for of_layer in heads.values() for layer in of_layer), "")
    return f"Half of the weight lies on {joined(half)}; on {layer} lies {joined(first)}." if heads else ""


def pixels(results: Results, norm: str) -> str:
    """On the tile of the pixels: that a metric can be robust and judge badly."""
    result = results.get(catalog.PIXELS, {})
    entry, agreement = result and tables.standard(result, norm), result.get("agreement")
    if not (entry and agreement):
        return ""
    return (
        f"The mean squared error of pixels is hard to fool ({percent(entry['2afc']['value'])} right under attack), and agrees with LPIPS on "
        f"{percent(agreement['value'])} of mixed distortions: robustness counts only beside agreement."
    )


def masking(parts: Mapping[str, Any]) -> str:
    """On the table of other attacks: what the strongest finds beyond the standard one; `parts` is {metric: the part "masking" of
    its card}."""
    sentences = []
    for name, part in parts.items():
        strongest, beyond = {row["attack"]: row for row in part["rows"]}[tables.TOGETHER], part.get("beyond")
        if beyond:
            right, inflation = strongest["2afc"]["value"], strongest["inflation"]["value"]
            sentences.append(
                f"{title(name)}'s attacked 2AFC goes from {right + beyond['2afc']:.2f} to {right:.2f} and its inflation from "
                f"{inflation - beyond['inflation']:.2f} to {inflation:.2f}"
            )
    what = (
        f" With the strongest attack tried on each picture in place of it, {'; '.join(sentences)}." if sentences else ""
    )
    return f"If a metric only hid its gradients from the standard attack, another attack would do much better.{what}"


def _budget(entries: Entries, norm: str) -> str:
    return tables.budget(norm, next(iter(entries.values()))["eps"])
