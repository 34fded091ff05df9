"""What each choice in the training of R-LPIPS heads changes: a short study of one change at a time.

    python -m rlpips.study --images FOLDER --out DIR

Every variant is trained on the same photographs with the same seeds, for fewer rounds than the shipped heads, and measured on
the same held-out triplets. The report goes to DIR/study.json and DIR/study.md; a variant that is already there with the same
settings is not trained again. The study works under torchrun, and is only of the l_inf ball. The training is that of
`rlpips.training`, after Ghazanfari et al., arXiv 2307.15157.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from rlpips.attacks.triplets import draw_candidates
from rlpips.data.triplets import Triplets
from rlpips.evaluate.scores import distances, score_2afc
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.progress import ProgressCallback, quiet
from rlpips.study.official import FreeRanking
from rlpips.study.report import FIGURES
from rlpips.study.variants import VARIANTS
from rlpips.training.data import Source, prepare
from rlpips.training.heads import measure, train
from rlpips.training.settings import Settings

HELD_OUT = {"triplets": 192, "mixed": 800, "size": 64, "gap": 0.1, "seed": 3, "steps": 20}


def study(
    settings: Settings,
    sources: Sequence[Source],
    held_out: Mapping[str, Any] = HELD_OUT,
    only: Collection[str] | None = None,
    device: str | torch.device = "cpu",
    earlier: Mapping[str, Any] | None = None,
    progress: ProgressCallback = quiet,
) -> Iterator[dict[str, Any]]:
    """Yields the report, {"how": …, "rows": […]} ready for JSON, after every row: LPIPS, the pixels, and each variant.

    sources   for training, for the choice of the best heads, and for the report
    held_out  how many triplets measure each variant, and how they are made and attacked
    only      names of variants; None for all
    earlier   a report whose rows are kept where they have the same settings
    """
    learning, choosing, reporting = sources
    lpips = load_metric("lpips", settings.backbone, device)
    options = (held_out[key] for key in ("triplets", "mixed", "size", "seed", "gap"))
    same, mixed = (triplets.to(device) for triplets in reporting.triplets(*options))
    how = {
        "settings": {**asdict(settings), "eps": settings.budget},
        "held out": held_out,
        "photographs": [len(source.photographs) for source in sources],
        "torch": torch.__version__,
        "device": str(device),
    }
    variant_settings = {variant.name: replace(settings, **variant.changes) for variant in VARIANTS}
    rows = {}
    if earlier and earlier.get("how") == how:
        for row in earlier["rows"]:
            name = row["variant"]
            if name not in variant_settings or row.get("settings") == asdict(variant_settings[name]):
                rows[name] = row

    def figures(metric: PerceptualMetric) -> dict[str, Any]:
        return measure(metric, lpips, same, mixed, settings.norm, settings.budget, held_out["steps"])

    def report(name: str, why: str, row: Mapping[str, Any]) -> dict[str, Any]:
        rows[name] = {**row, "variant": name, "why": why}
        progress(f"{name}: " + ", ".join(f"{text} {row[key]:.3f}" for key, text in FIGURES.items()), keep=True)
        order = ("LPIPS", "pixels", *variant_settings)
        return {"how": how, "rows": [rows[name] for name in order if name in rows]}

    yield report("LPIPS", "Where all variants start.", rows.get("LPIPS") or figures(lpips))
    pixel_row = pixels(lpips, same, mixed, settings.budget)
    yield report("pixels", "The mean squared error of the pixels: robust and useless.", pixel_row)
    data = data_key = None
    for variant in VARIANTS:
        if only is not None and variant.name not in only:
            continue
        if variant.name not in rows:
            changed = variant_settings[variant.name]
            key = changed.size, changed.seed, changed.gap
            if data is None or key != data_key:  # most variants train on the same data
                progress(f"{variant.name}: computing features of natural pairs")
                data, data_key = prepare(changed, learning, choosing, lpips, device), key
            ranking = FreeRanking(torch.Generator().manual_seed(changed.seed)) if variant.free_ranking else None
            heads, seconds = train(changed, data, lpips, progress, ranking=ranking, attack=variant.attack)
            row = figures(PerceptualMetric(lpips.trunk, heads, variant.name))
            rows[variant.name] = {**row, "seconds": round(seconds), "settings": asdict(changed)}
        yield report(variant.name, variant.why, rows[variant.name])


@torch.no_grad()
def pixels(lpips: PerceptualMetric, same: Triplets, mixed: Triplets, eps: float, seed: int = 0) -> dict[str, float]:
    """The figures of the mean squared error of the pixels, in an l_inf ball of `eps`, in [0, 1] pixel units.

    The same candidates are attacked as by `attack_triplets`. The worst case has a closed form: every pixel goes as far from the
    reference, or as near to it, as the ball and [0, 1] allow.
    """

    def error(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean((1, 2, 3))

    def push(x: Tensor, reference: Tensor, away: Tensor) -> Tensor:  # away (N,): from the reference, or towards it
        low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
        farthest = torch.where((reference - low).abs() > (high - reference).abs(), low, high)
        return torch.where(away.view(-1, 1, 1, 1), farthest, reference.clamp(low, high))

    p0_is_attacked, sign = draw_candidates(same.judge, torch.Generator().manual_seed(seed))
    attacked = []
    for candidate, is_attacked in ((same.p0, p0_is_attacked), (same.p1, ~p0_is_attacked)):
        pushed = push(candidate, same.reference, sign > 0)
        attacked.append(error(same.reference, torch.where(is_attacked.view(-1, 1, 1, 1), pushed, candidate)))
    d0, d1, mixed0, mixed1 = (error(part.reference, p) for part in (same, mixed) for p in (part.p0, part.p1))
    some = mixed.reference[: len(same)]
    worst = error(some, push(some, some, torch.ones(len(some), dtype=torch.bool, device=some.device)))
    lpips0, lpips1 = distances(lpips, mixed)
    return {
        "natural_2afc": score_2afc(d0, d1, same.judge).mean().item(),
        "attacked_2afc": score_2afc(attacked[0], attacked[1], same.judge).mean().item(),
        "inflation": (worst.mean() / torch.cat([mixed0[: len(some)], mixed1[: len(some)]]).mean()).item(),
        "agreement_with_lpips": ((mixed0 < mixed1) == (lpips0 < lpips1)).float().mean().item(),
    }
