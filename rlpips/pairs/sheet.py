"""A contact sheet: some pairs of a table as a still figure, for slides and papers."""

from matplotlib.figure import Figure

from rlpips.pairs.table import Table, title, words_of
from rlpips.pairs.views import choose, views


def sheet(pairs: Table, count: int = 8) -> Figure:
    """A matplotlib `Figure` with a line for each of up to `count` pairs: original, attacked, the change around grey, and where each metric
    sees it, each map on its own scale, with what the metric finds it as far as. ValueError for a table without rows."""
    shown = list(views(pairs, choose(pairs, count)))
    if not shown:
        raise ValueError("There is no pair to show.")
    columns = 3 + len(pairs.metrics)
    tall = sum(view.clean.shape[0] / view.clean.shape[1] for view in shown)
    figure = Figure(figsize=(1.7 * columns, 1.7 * tall + 0.5 * len(shown) + 0.5), layout="constrained")
    lines = figure.subplots(len(shown), columns, squeeze=False)
    for axes, view in zip(lines, shown, strict=True):
        row = pairs[view.row]
        pictures = [view.clean, view.attacked, view.change, *view.maps]
        labels = ["original", "attacked", f"change × {view.times}"]
        for name in pairs.metrics:
            quality = row[f"{name}_jpeg"]
            as_far = "" if quality is None else f"\n{words_of(quality)}"
            labels.append(f"{title(name)} {row[name]:.3g}{as_far}")
        for axis, picture, label in zip(axes, pictures, labels, strict=True):
            axis.imshow(picture, cmap="inferno", interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_xlabel(label, fontsize=7)
        verdict = f"fools {row['verdict']}" if row["verdict"] else ""
        axes[0].set_title(f"{_short(row['pair'])}\n{verdict}", fontsize=7, loc="left", parse_math=False)
    return figure


def _short(name: str, most: int = 40) -> str:
    return name if len(name) <= most else "…" + name[-most:]
