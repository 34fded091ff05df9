"""What `rlpips.evaluate` measured, as Markdown tables: for its reports, the pages and the README. No torch."""

from rlpips import catalog

TOGETHER = "the strongest of all these for each picture"  # a row of the masking table
USUAL = "PGD, 20 steps, 2 restarts"  # another: the attack that the headline figures are for
NORMS = {"linf": "l∞", "l2": "l2"}


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
    """The attacks of `rlpips.masking` on one metric, a row each."""
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
