"""What `rlpips.evaluate` measured, as Markdown tables: for its reports, the pages and the README. No torch."""

from rlpips.zoo import catalog
from rlpips.zoo.attack_cards import ATTACKS

TOGETHER = "the strongest of all these for each picture"  # a row of the masking table
USUAL = "PGD, 20 steps, 2 restarts"  # another: the attack that the headline figures are for
NORMS = {"linf": "l∞", "l2": "l2"}
SETTINGS = {"paper": "the papers' bound", "matched": "matched bounds", "milder": "milder matched bounds"}
COSTS = {
    **{name: catalog.card(name).title for name in catalog.PAIR},
    **{"linf": "l∞, n/255", "l2": "l2", "ssim": "SSIM"},
}


def table(results):
    """The headline, a column for each metric of {name: results}: natural 2AFC, attacked 2AFC and inflation at the standard
    l_inf and l2 budget, agreement with LPIPS, all with their 95 % intervals."""
    rows = {"natural 2AFC": [one["natural"]["2afc"] for one in results.values()]}
    for norm in NORMS:
        entries = [standard(one, norm) or {} for one in results.values()]
        eps = next((entry["eps"] for entry in entries if entry), None)
        if eps is not None:
            rows[f"attacked 2AFC, {budget(norm, eps)}"] = [entry.get("2afc") for entry in entries]
            rows[f"inflation, {budget(norm, eps)}"] = [entry.get("inflation") for entry in entries]
    rows["agreement with LPIPS"] = [one["agreement"] for one in results.values()]
    return markdown("", dict(zip(titles(results), zip(*rows.values()))), rows)


def family_table(results, norm="linf"):
    """2AFC of each family of distortions, natural and attacked at the standard budget of the norm, metric by metric."""
    families = list(dict.fromkeys(family for one in results.values() for family in one["natural"]["families"]))
    columns, corner = {}, "2AFC"
    for title, one in zip(titles(results), results.values()):
        columns[f"{title}, natural"] = [one["natural"]["families"].get(family) for family in families]
        if entry := standard(one, norm):
            columns[f"{title}, attacked"] = [entry["families"].get(family) for family in families]
            corner = f"2AFC, attacks of {budget(norm, entry['eps'])}"
    return markdown(corner, columns, families)


def eps_table(results, norm="linf"):
    """Attacked 2AFC and inflation at every budget of the norm, metric by metric."""
    levels = sorted({entry["eps"] for one in results.values() for entry in one["attacked"][norm]})
    columns = {}
    for title, one in zip(titles(results), results.values()):
        found = {entry["eps"]: entry for entry in one["attacked"][norm]}
        for key, word in (("2afc", "2AFC"), ("inflation", "inflation")):
            columns[f"{title}, {word}"] = [found.get(eps, {}).get(key) for eps in levels]
    return markdown("budget", columns, [budget(norm, eps) for eps in levels])


def masking_table(masking):
    """The attacks of `rlpips.evaluate.masking` on one metric, a row each."""
    rows = masking["rows"]
    columns = {"2AFC": [row["2afc"] for row in rows], "inflation": [row["inflation"] for row in rows]}
    return markdown("attack", columns, [row["attack"] for row in rows])


def layer_table(results):
    """Each layer's share of the mean natural distance, metric by metric."""
    layers = list(next(iter(results.values()))["layers"])
    lines = ["| share of the natural distance | " + " | ".join(layers) + " |", "|---" * (1 + len(layers)) + "|"]
    lines += [
        f"| {title} | " + " | ".join(f"{one['layers'][layer]:.1%}" for layer in layers) + " |"
        for title, one in zip(titles(results), results.values())
    ]
    return "\n".join(lines)


def conditions(results):
    """On what the figures were measured and by which command, from what the first metric's results say of it."""
    how = next(iter(results.values()))["how"]
    return (
        f"Measured on {how['natural']} triplets with a judge, {how['triplets']} of which were attacked (PGD, {how['steps']} steps; "
        f"{how['restarts_at_standard']} restarts at the standard budget, {how['restarts']} elsewhere), and on {how['mixed']} for the "
        f"agreement; {how['size']}-pixel patches, {how['data']}. `{how['command']}`"
    )


def accuracy_table(report):
    """What accuracy every attack of `rlpips.evaluate.robust_accuracy` leaves, a row each, classifier by classifier."""
    found = {name: _rows(one) for name, one in report["classifiers"].items()}
    keys = list(dict.fromkeys(key for rows in found.values() for key in rows))
    columns = {
        classifier_title(name): [rows[key]["accuracy"] if key in rows else None for key in keys]
        for name, rows in found.items()
    }
    return markdown("accuracy", columns, [attack(*key) for key in keys])


def findings_table(report):
    """What an attack bounded by R-LPIPS leaves, minus what the same attack bounded by LPIPS leaves, and the verdict."""
    found = {(one["setting"], one["attack"], one["than"], one["classifier"]): one for one in report["findings"]}
    names = list(report["classifiers"])
    lines = [
        "| difference in accuracy | " + " | ".join(map(classifier_title, names)) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for setting, one, than in dict.fromkeys(key[:3] for key in found):
        cells = [_finding(found.get((setting, one, than, name))) for name in names]
        bounds = " and ".join(f"{bound:.3g}" for bound in reversed(report["bounds"]["settings"][setting].values()))
        heading = f"{ATTACKS[one].title} minus {ATTACKS[than].title}, {SETTINGS[setting]} ({bounds})"
        lines.append(f"| {heading} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost_table(report, classifier):
    """How large the changes are that the attacks on one classifier made, on average over the pictures attacked."""
    lines = ["| change of a picture | " + " | ".join(COSTS.values()) + " |", "|---" * (1 + len(COSTS)) + "|"]
    for key, row in _rows(report["classifiers"][classifier]).items():
        if row["cost"]:
            shown = {**row["cost"], "linf": 255 * row["cost"]["linf"]}
            lines.append(f"| {attack(*key)} | " + " | ".join(f"{shown[name]:.3g}" for name in COSTS) + " |")
    return "\n".join(lines)


def match_table(report):
    """At which severity each family of natural distortions is as far as a bound, and what the other metric's root is there."""
    matches = report["bounds"]["matches"]
    heads = [f"where {_root(one['metric'])} is {one['bound']:.3g}: {_root(one['other'])}" for one in matches]
    lines = ["| natural distortion | " + " | ".join(heads) + " |", "|---" * (1 + len(matches)) + "|"]
    for family in matches[0]["families"]:
        found = [one["families"][family] for one in matches]
        cells = [f"{one['matched']:.3f} ({one['words']})" if one else "not reached" for one in found]
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    lines.append("| geometric mean | " + " | ".join(f"{one['matched']:.3f}" for one in matches) + " |")
    return "\n".join(lines)


def classifier_conditions(report):
    """How the figures on classifiers came about, in sentences, and the command that repeats them."""
    how, bounds = report["how"], report["bounds"]
    attacks, matched = how["attacks"], bounds["matches"][:2]
    reads = " and ".join(
        f"{COSTS[one['other']]} {one['matched']:.3g} ({one['low']:.3g} to {one['high']:.3g})" for one in matched
    )
    return (
        f"Accuracy on {how['pictures']} pictures {how['data']}, the same for every classifier; in brackets 95 % bootstrap "
        f"intervals over pictures. PGD and PPGD: {attacks['ppgd']['steps']} steps (the code of R-LPIPS's authors: 40), PPGD with "
        f"{attacks['ppgd']['cg_steps']} of conjugate gradients each; LPA: {attacks['lpa']['searches']} searches of "
        f"{attacks['lpa']['steps']} steps; projections by Newton's method. Bounds of metrics are roots of distances, of pictures "
        f"enlarged to 64 pixels a side. Matched bounds are as far in natural distortions as the papers' bound in the distance "
        f"that it was chosen for: those that AlexNet's features without weights have {matched[0]['bound']:.3g} away are "
        f"{reads} away, by the geometric mean over the {matched[0]['reached']} of {matched[0]['of']} families of distortions that "
        f"get so far (in brackets the least and the most; {bounds['pictures']} pictures). `{how['command']}`"
    )


def attack(name, bound):
    """A row of the attacks on classifiers in words, such as "PPGD, √LPIPS 0.5"."""
    if name == "none":
        return "no attack"
    about = ATTACKS[name]
    return f"{about.title}, {about.unit} {bound:.3g}" if about.metric else f"PGD, {budget(about.norm, bound)}"


def classifier_title(name):
    """A classifier's title."""
    return catalog.CLASSIFIERS[name].title


def _root(metric):
    return f"√{COSTS.get(metric, 'AlexNet, unweighted')}"


def _rows(one):
    """The rows of one classifier by attack and bound."""
    return {(row["attack"], row["bound"]): row for row in one["rows"]}


def _finding(one):
    if one is None:
        return "–"
    value, low, high = (f"{one['difference'][key]:+.3f}".replace("-", "−") for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}), {one['verdict']}"


def standard(one, norm):
    """The entry of one metric's results at the standard budget of a norm; None if it was not measured."""
    return next((entry for entry in one["attacked"][norm] if entry["standard"]), None)


def budget(norm, eps):
    """A budget in words, such as "l∞ 4/255" or "l2 1"; eps in [0, 1] pixel units."""
    return f"{NORMS[norm]} {255 * eps:.3g}/255" if norm == "linf" else f"{NORMS[norm]} {eps:.3g}"


def titles(results):
    """The metrics' titles."""
    return [catalog.card(name).title for name in results]


def with_interval(figure):
    """A figure as "0.829 (0.781–0.872)"; a dash where there is none."""
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})" if figure else "–"


def markdown(corner, columns, rows):
    """A Markdown table of {heading: [figure or None for each row]}, with the rows' names in front."""
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    lines += [
        f"| {row} | " + " | ".join(map(with_interval, figures)) + " |"
        for row, figures in zip(rows, zip(*columns.values(), strict=True), strict=True)
    ]
    return "\n".join(lines)
