"""What matters in the training of R-LPIPS heads: a short study with one change at a time.

    python -m rlpips.study --images FOLDER --out DIR

Every variant is trained on the same photographs with the same seeds, for fewer rounds than the shipped heads, and then
measured on the same held-out triplets. Writes DIR/study.json and DIR/study.md; a variant that is already there with
the same settings is not trained again. Works under torchrun. Only the l_inf ball is studied.
The training that is studied is R-LPIPS's (Ghazanfari et al., arXiv 2307.15157), as `rlpips.training` does it.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from rlpips.data.triplets import attack_triplets, distances, score_2afc, toss
from rlpips.metrics.backbones import pick_device
from rlpips.metrics.lpips import PerceptualMetric, load_metric
from rlpips.parallel import is_first, join, leave
from rlpips.progress import Progress, quiet
from rlpips.study.official import FreeRanking, official_attack
from rlpips.training.data import look, read_sources
from rlpips.training.heads import measure, train
from rlpips.training.settings import Settings, add_settings
from rlpips.zoo import cards

SHORT = Settings(rounds=20, triplets=800, attacked=24, validation=24, clean_weight=1.0, floor=0.01)
HELD_OUT = {"triplets": 192, "mixed": 800, "size": 64, "gap": 0.1, "seed": 3, "steps": 20}


@dataclass(frozen=True)
class Variant:
    """One change against "baseline", and why it is tried. `changes` are settings; `network` ranks with a `FreeRanking`."""

    name: str
    why: str
    changes: dict = field(default_factory=dict)
    network: bool = False
    attack: Callable = attack_triplets


VARIANTS = (
    Variant("baseline", "The recipe that all others change in one thing."),
    Variant("free ranking network", "A learnt network ranks, as in LPIPS and R-LPIPS.", {}, True),
    Variant("free ranking network, no inflation term", "The same, left to itself.", {"inflation_weight": 0.0}, True),
    Variant("official attack", "Triplets are attacked as the official code does it.", {}, False, official_attack),
    Variant(
        "official attack and network",
        "The official recipe: its attack, its network, attacked triplets and nothing else.",
        {"clean_weight": 0.0, "inflation_weight": 0.0, "lpips_weight": 0.0, "floor_weight": 0.0},
        True,
        official_attack,
    ),
    Variant("clean only", "No attacked pictures at all.", {"attacked_weight": 0.0, "inflation_weight": 0.0}),
    Variant("attacked only", "No natural triplets, judged or not.", {"clean_weight": 0.0, "lpips_weight": 0.0}),
    Variant("no inflation term", "Nothing says that an invisible change is near.", {"inflation_weight": 0.0}),
    Variant("no LPIPS teacher", "Nobody judges between different distortions.", {"lpips_weight": 0.0}),
    Variant("no floor", "Any layer may vanish.", {"floor_weight": 0.0}),
    Variant("inner attack of 1 step", "The cheapest attack: one step of 2.5 eps.", {"attack_steps": 1}),
    Variant("inner attack of 20 steps", "An attack as long as the one it is measured with.", {"attack_steps": 20}),
    Variant("eps 2/255", "Half the budget in training.", {"eps": 2 / 255}),
    Variant("eps 8/255", "Twice the budget in training.", {"eps": 8 / 255}),
    Variant("2 restarts", "The better of two inner attacks.", {"restarts": 2}),
    Variant("baseline, other seed", "What the seed alone changes.", {"seed": 1}),
    Variant("patches of 32", "Smaller patches in training; all are measured on the same.", {"size": 32}),
    Variant("gap 0.2", "Training triplets easier to tell than those it is measured on.", {"gap": 0.2}),
)


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


FIGURES = {
    "natural_2afc": "natural 2AFC",
    "attacked_2afc": "attacked 2AFC",
    "inflation": "inflation",
    "agreement_with_lpips": "agreement with LPIPS",
}


def table(report):
    """The report as one Markdown table, and how it was made."""
    how, rows = report["how"], report["rows"]
    held, settings = how["held out"], how["settings"]
    lines = [f"| variant | what it is | {' | '.join(FIGURES.values())} | conv1's share |", "|---" * 7 + "|"]
    for row in rows:
        shares = list(row.get("share_of_layers", {}).values())
        figures = [f"{row[key]:.3f}" for key in FIGURES] + [f"{shares[0]:.3f}" if shares else "–"]
        lines.append(f"| {row['variant']} | {row['why']} | {' | '.join(figures)} |")
    one, many = held["triplets"], held["mixed"]
    return "\n".join(lines) + (
        f"\n\nThe baseline has the settings of the training, but for {_differences(settings)}; it learns from "
        f"{how['photographs'][0]} photographs. Measured on {one} triplets of one family (severities at least "
        f"{held['gap']} apart) and {many} of mixed families, from {how['photographs'][2]} photographs held out; "
        f"attacks: PGD, {held['steps']} steps, l∞ {255 * settings['eps']:.3g}/255. One standard error is at most "
        f"{0.5 / math.sqrt(one):.3f} for 2AFC and {0.5 / math.sqrt(many):.3f} for agreement."
    )


def _differences(settings):
    usual = asdict(Settings())
    return ", ".join(
        f"{name} {value:g}" for name, value in settings.items() if value != usual[name] and name not in ("norm", "eps")
    )


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m rlpips.study", description="Compare recipes.", allow_abbrev=False)
    parser.usage = "%(prog)s --images FOLDER --out DIR [--only NAME …] [options]; --help names them"
    parser.add_argument("--images", required=True, help="folder of photographs; every fifth is held out")
    parser.add_argument("--out", required=True, type=Path, help="folder for study.json and study.md")
    parser.add_argument("--only", nargs="+", help="names of variants", choices=[each.name for each in VARIANTS])
    parser.add_argument("--device", default="cpu")
    add_settings(parser, SHORT)
    chosen = vars(parser.parse_args(arguments))
    images, out, only, device = (chosen.pop(name) for name in ("images", "out", "only", "device"))
    try:
        settings = Settings(**chosen)
        if settings.norm != "linf":
            raise ValueError(f"The study is of the l_inf ball; got norm {settings.norm!r}.")
        device = join(pick_device(device))
        out.mkdir(parents=True, exist_ok=True)
        file = out / "study.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else None
        sources, progress = read_sources(images, None, settings), Progress()
        for report in study(settings, sources, HELD_OUT, only, device, known, progress):
            if is_first():
                file.write_text(cards.written(report), "utf-8")
                (out / "study.md").write_text(table(report) + "\n", "utf-8")
    except (ValueError, OSError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        sys.exit(1 if isinstance(error, FloatingPointError) else 2)
    finally:
        leave()


if __name__ == "__main__":
    main()
