"""Synthetic pictures for tests."""

import numpy as np
from PIL import Image


def make_pictures(count=20):
    """Pictures of slopes, edges and texture, uint8 (H, W, 3), each of another size."""
    pictures = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: 40 + seed, : 60 - seed] / 9
        a, b = rng.uniform(0.2, 1, (2, 3))
        picture = np.stack([np.sin(x * a[c] + c) + np.cos(y * b[c]) for c in range(3)], -1)
        picture[20:, 25:] *= -0.7
        pictures.append(np.clip(127 + 50 * picture + 8 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8))
    return pictures


def write_pictures(folder, count=20):
    """Write the same pictures as PNG files into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(make_pictures(count)):
        Image.fromarray(picture).save(folder / f"{index:02}.png")
    return folder


def write_bapps(folder, families=("cnn", "traditional"), count=9, side=40):
    """Write a folder as BAPPS has it, and return it. Of p0 and p1 one has mild noise and the other strong noise."""
    rng = np.random.default_rng(0)
    for family in families:
        place = folder / "2afc" / "train" / family
        for part in ("ref", "p0", "p1", "judge"):
            (place / part).mkdir(parents=True)
        for index in range(count):
            clean = np.kron(rng.integers(60, 200, (side // 8, side // 8, 3)), np.ones((8, 8, 1)))
            p1_nearer = rng.random() < 0.5
            pictures = {"ref": clean}
            for part, mild in (("p0", not p1_nearer), ("p1", p1_nearer)):
                pictures[part] = clean + rng.normal(0, 6 if mild else 40, clean.shape)
            for part, pixels in pictures.items():
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(place / part / f"{index:06}.png")
            np.save(place / "judge" / f"{index:06}.npy", np.array([0.8 if p1_nearer else 0.2], dtype=np.float32))
    return folder


def make_waves():
    """Two pairs of smooth pictures by a formula, float32 arrays (2, 3, 70, 93) in [0, 1], for numbers that were computed elsewhere."""
    y, x = np.mgrid[:70, :93].astype(float)
    waves = [np.sin(0.11 * (k + 1) * x + 0.07 * (k + 2) * y + k) for k in range(6)]
    a = np.stack([0.5 + 0.2 * waves[0] + 0.2 * waves[1] * waves[2], 0.5 + 0.3 * waves[1], 0.4 + 0.3 * waves[2]])
    b = np.stack([0.5 + 0.4 * waves[3] * waves[4], 0.3 + 0.2 * waves[5], 0.6 + 0.3 * waves[0]])
    others = np.stack([0.8 * a + 0.2 * b + 0.05 * waves[5], np.roll(b, 2, -1)])
    return np.stack([a, b]).clip(0, 1).astype(np.float32), others.clip(0, 1).astype(np.float32)
