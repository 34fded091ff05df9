"""What matters in the training of R-LPIPS heads: a short study with one change at a time.

    python -m rlpips.study --images FOLDER --out DIR

Every variant is trained on the same photographs with the same seeds, for fewer rounds than the shipped heads, and then
measured on the same held-out triplets. Writes DIR/study.json and DIR/study.md; a variant that is already there with
the same settings is not trained again. Works under torchrun. Only the l_inf ball is studied.
The training that is studied is R-LPIPS's (Ghazanfari et al., arXiv 2307.15157), as `rlpips.training` does it.
"""

from dataclasses import asdict, replace

import torch

from rlpips.attacks.triplets import toss
from rlpips.evaluate.scores import distances, score_2afc
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.progress import quiet
from rlpips.study.official import FreeRanking
from rlpips.study.report import FIGURES
from rlpips.study.variants import VARIANTS
from rlpips.training.data import look
from rlpips.training.heads import measure, train

HELD_OUT = {"triplets": 192, "mixed": 800, "size": 64, "gap": 0.1, "seed": 3, "steps": 20}


def study(settings, sources, held_out=HELD_OUT, only=None, device="cpu", known=None, progress=quiet):
    """Yield the report, {"how": …, "rows": […]}, as it grows: LPIPS, the pixels, and each variant, or `only` those
    named. Rows of an earlier report `known` that were made with the same settings are kept."""
    learning, choosing, reporting = sources
    lpips = load_metric("lpips", settings.backbone, device)
    options = (held_out[key] for key in ("triplets", "mixed", "size", "seed", "gap"))
    same, mixed = (triplets.to(device) for triplets in reporting.triplets(*options))
    photographs = [len(source.photographs) for source in sources]
    how = {"settings": {**asdict(settings), "eps": settings.budget}, "held out": held_out, "photographs": photographs}
    how |= {"torch": torch.__version__, "device": str(device)}
    wanted = {each.name: asdict(replace(settings, **each.changes)) for each in VARIANTS}
    rows = {}
    if known and known.get("how") == how:
        rows = {row["variant"]: row for row in known["rows"] if row.get("settings") == wanted.get(row["variant"])}

    def figures(metric):
        return measure(metric, lpips, same, mixed, settings.norm, settings.budget, held_out["steps"])

    def report(name, why, row):
        rows[name] = {**row, "variant": name, "why": why}
        progress(f"{name}: " + ", ".join(f"{words} {row[key]:.3f}" for key, words in FIGURES.items()), keep=True)
        order = ("LPIPS", "pixels", *wanted)
        return {"how": how, "rows": [rows[name] for name in order if name in rows]}

    yield report("LPIPS", "Where all variants start.", rows.get("LPIPS") or figures(lpips))
    pixel_row = pixels(lpips, same, mixed, settings.budget)
    yield report("pixels", "The mean squared error of the pixels: robust and useless.", pixel_row)
    looked = material = None
    for variant in VARIANTS:
        if only and variant.name not in only:
            continue
        if variant.name not in rows:
            made = replace(settings, **variant.changes)
            key = made.size, made.seed, made.gap
            if key != looked:  # what the trunk sees is the same for most variants
                progress(f"{variant.name}: looking at natural pairs")
                looked, material = key, look(made, learning, choosing, lpips, device)
            ranking = FreeRanking(torch.Generator().manual_seed(made.seed)) if variant.network else None
            heads, seconds = train(made, material, lpips, progress, ranking=ranking, attack=variant.attack)
            found = figures(PerceptualMetric(lpips.trunk, heads, variant.name))
            rows[variant.name] = {**found, "seconds": round(seconds), "settings": wanted[variant.name]}
        yield report(variant.name, variant.why, rows[variant.name])


@torch.no_grad()
def pixels(lpips, same, mixed, eps, seed=0):
    """The figures of the mean squared error under the same coin as `attack_triplets`. Its worst case in the l_inf ball
    has a closed form: every pixel goes as far from the reference, or as near, as the ball and [0, 1] let it."""

    def error(a, b):
        return (a - b).square().mean((1, 2, 3))

    def pushed(x, reference, away):  # `away` (N,): whether from the reference or towards it
        low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
        far = torch.where((reference - low).abs() > (high - reference).abs(), low, high)
        return torch.where(away.view(-1, 1, 1, 1), far, reference.clamp(low, high))

    first, _ = toss(same.judge, torch.Generator().manual_seed(seed))
    attacked = []
    for candidate, chosen, nearer in ((same.p0, first, same.judge < 0.5), (same.p1, ~first, same.judge >= 0.5)):
        moved = pushed(candidate, same.reference, nearer)
        attacked.append(error(same.reference, torch.where(chosen.view(-1, 1, 1, 1), moved, candidate)))
    d0, d1, n0, n1 = (error(each.reference, p) for each in (same, mixed) for p in (each.p0, each.p1))
    some = mixed.reference[: len(same)]
    worst = error(some, pushed(some, some, torch.ones(len(some), dtype=torch.bool, device=some.device)))
    l0, l1 = distances(lpips, mixed)
    return {
        "natural_2afc": score_2afc(d0, d1, same.judge).mean().item(),
        "attacked_2afc": score_2afc(*attacked, same.judge).mean().item(),
        "inflation": (worst.mean() / torch.cat([n0[: len(some)], n1[: len(some)]]).mean()).item(),
        "agreement_with_lpips": ((n0 < n1) == (l0 < l1)).float().mean().item(),
    }
