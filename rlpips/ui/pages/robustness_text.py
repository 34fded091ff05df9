"""What the results of `rlpips.evaluate` say, in plain sentences: above each chart, and in its place for those who
cannot see it. Every number comes from the results."""

import numpy as np

from rlpips.evaluate import tables
from rlpips.zoo import catalog


def title(name):
    return catalog.card(name).title


def percent(share):
    return f"{share:.0%}".replace("%", " %")


def joined(parts):
    """ "a, b and c"."""
    parts = list(parts)
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def sweep(results, norm, key):
    """Of `charts.sweep`: what is left at the standard budget, or at the largest so far."""
    found = _reached(results, norm)
    if not found:
        return "The budget of the attack grows from left to right."
    budget = _budget(found, norm)
    if key == "inflation":
        each = joined(f"{entry['inflation']['value']:.2f} to {title(name)}" for name, entry in found.items())
        return f"On average the worst change found within {budget} looks as far as so many natural distortions: {each}."
    attacked = joined(f"by {title(name)} in {percent(entry['2afc']['value'])}" for name, entry in found.items())
    natural = joined(percent(results[name]["natural"]["2afc"]["value"]) for name in found)
    return (
        f"One candidate attacked within {budget}, the nearer picture is still found {attacked} of the triplets; "
        f"without an attack in {natural}. Guessing finds 50 %."
    )


def _reached(results, norm):
    """{metric: entry} at the standard budget; while that is still to come, at the largest that all metrics have."""
    entries = {name: {entry["eps"]: entry for entry in one["attacked"][norm]} for name, one in results.items()}
    usual = {name: entry for name, one in results.items() if (entry := tables.standard(one, norm))}
    if entries and len(usual) < len(entries):
        common = set.intersection(*map(set, entries.values()))
        usual = {name: found[max(common)] for name, found in entries.items()} if common else usual
    return usual


def opt(entries, norm):
    """Of `charts.opt`: the medians, and how many pictures look further than a natural distortion; `entries` is {metric:
    what was measured at one budget}."""
    found = {name: entry["opt"] for name, entry in entries.items() if entry["opt"]}
    if not found:
        return "Nothing was measured at this budget."
    pictures = joined(dict.fromkeys(str(len(values)) for values in found.values()))
    medians = joined(f"to {title(name)} {np.median(values):.2f}" for name, values in found.items())
    further = joined(percent(np.mean(np.array(values) > 1)) for values in found.values())
    return (
        f"Each of {pictures} pictures was changed within {_budget(entries, norm)} so as to look as different as "
        f"possible. Measured in average natural distortions the median change is {medians}; {further} of the pictures "
        "look further than one."
    )


def families(entries, norm):
    """Of the table by family: each metric's hardest one, and where it does worse than guessing."""
    parts = []
    for name, entry in entries.items():
        values = {family: interval["value"] for family, interval in entry["families"].items()}
        hardest, worse = min(values, key=values.get), sum(value < 0.5 for value in values.values())
        parts.append(
            f"{title(name)} holds least on {hardest} ({percent(values[hardest])}) and "
            + (f"falls below guessing on {worse} of {len(values)}" if worse else "stays above guessing on all")
        )
    return (
        f"Under attack with {_budget(entries, norm)}, {'; '.join(parts)}."
        if parts
        else "Nothing was measured at this budget."
    )


def layers(results):
    """Of `charts.layers`: the heaviest layer of each metric."""
    heaviest = {name: max(one["layers"], key=one["layers"].get) for name, one in results.items() if one.get("layers")}
    each = (
        f"{title(name)} takes {percent(results[name]['layers'][layer])} from {layer}"
        for name, layer in heaviest.items()
    )
    return f"Largest share of the distance to natural distortions: {joined(each)}." if heaviest else ""


def weights(heads):
    """Of `charts.weights`: how few channels carry half of the weight, and how much lies in the first layer."""
    half, first = [], []
    for name, of_layer in heads.items():
        values = np.sort(np.concatenate(list(of_layer.values())))[::-1]
        count = int(np.searchsorted(np.cumsum(values), values.sum() / 2)) + 1
        half.append(f"{count} of {len(values)} channels in {title(name)}")
        first.append(f"{percent(next(iter(of_layer.values())).sum() / values.sum())} in {title(name)}")
    layer = next((layer for of_layer in heads.values() for layer in of_layer), "")
    return f"Half of the weight lies on {joined(half)}; on {layer} lies {joined(first)}." if heads else ""


def masking(found):
    """Of the table of other attacks: what the strongest leaves, and what PGD; `found` is {metric: card["masking"]}."""
    parts = []
    for name, one in found.items():
        left = {row["attack"]: row["2afc"]["value"] for row in one["rows"]}
        strongest, usual = (percent(left[attack]) for attack in (tables.TOGETHER, tables.USUAL))
        parts.append(f"{title(name)} is still right in {strongest} ({tables.USUAL}: {usual})")
    return (
        "If a metric only hid its gradients from the attack used above, another attack would do much better. After the "
        f"strongest of those tried for each picture, {joined(parts)}."
    )


def _budget(entries, norm):
    return tables.budget(norm, next(iter(entries.values()))["eps"])
