"""Makes the recorded duels of the gallery: `python -m rlpips.precompute`, into precomputed/."""

from pathlib import Path

import rlpips
from rlpips import images
from rlpips.backbones import pick_device
from rlpips.distortions import DISTORTIONS, make_ruler

ROOT = Path(__file__).resolve().parents[1]

# (sample, objective, what is pushed, norm, eps): eps as n/255 for l_inf, in [0, 1] units for l2.
DUELS = (
    ("astronaut", "away", None, "linf", 4),
    ("chelsea", "away", None, "linf", 4),
    ("coffee", "away", None, "l2", 3),
    ("grace_hopper", "away", None, "linf", 2),
    ("hubble", "away", None, "linf", 4),
    ("rocket", "away", None, "l2", 5),
    ("china", "away", None, "linf", 4),
    ("flower", "toward", "blur", "linf", 6),
    ("coffee", "toward", "jpeg", "linf", 8),
    ("astronaut", "toward", "noise", "l2", 5),
)


def main():
    metrics = ("lpips", "rlpips-linf")
    device = pick_device()
    for sample, objective, copy, norm, eps in DUELS:
        picture = ROOT / "assets" / "samples" / f"{sample}.png"
        reference = images.to_tensor(picture, device)
        candidate = DISTORTIONS[copy](reference, 0.6) if copy else None
        trace = rlpips.attack(
            picture, candidate, metrics, norm=norm, eps=eps / 255 if norm == "linf" else eps, objective=objective
        )
        ruler = make_ruler(reference, [rlpips.load_metric(name, device=device) for name in metrics])
        path = ROOT / "precomputed" / f"{sample}-{objective}-{norm}-{eps}.zip"
        trace.with_ruler(ruler).save(path)
        lanes = ", ".join(f"{name} {value:.3f}" for name, value in zip(metrics, trace.distance[-1].diagonal()))
        print(f"{path.name}: {lanes}; {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
