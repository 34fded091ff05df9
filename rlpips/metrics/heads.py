"""Heads: the weights of a metric, apart from its trunk, to mix, turn up and down, silence, save and load.

    half = Heads.mix("lpips", "rlpips-linf", 0.5).silence([64 + 192 + 233])  # AlexNet's conv3·233
    half.save("half.safetensors")
    metric = rlpips.load_metric("half.safetensors")  # or of `half` itself

Metrics on one trunk share every squared difference of features, and a distance is linear in the weights: the distances of a
mixture are the mixture of the distances.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

from rlpips import saving, validation
from rlpips.device import in_neutral_state
from rlpips.metrics.backbones import BACKBONES, Trunk, load_trunk
from rlpips.zoo import catalog, weights

SUFFIX = ".safetensors"
LARGEST = 1e4  # of a weight; those of the catalogue stay below 5
_LARGEST_FILE = 2**20  # bytes; VGG16's heads take 6 kB


@dataclass(frozen=True)
class Term:
    """One summand of heads: `share` times those of `metric`, its layers times `gains`, without the `silenced` channels."""

    metric: str
    share: float = 1.0
    gains: tuple[float, ...] = ()  # one for each layer; empty: 1 for all
    silenced: tuple[int, ...] = ()  # in ascending order


@dataclass(frozen=True, eq=False)
class Heads:
    """One weight vector (C_l,) float32 for each of the L layers of a trunk, each weight in 0…10,000 and not all of them 0.

    `backbone` is "alex", "vgg" or "squeeze". `trunk` names the metric of the catalogue whose own trunk they belong to
    ("rlpips-tune"); None for the frozen one that LPIPS has. `recipe` says what they are made of, as far as that is known.
    ValueError for weights that no metric can have.
    """

    layers: tuple[np.ndarray, ...]
    backbone: str = "alex"
    trunk: str | None = None
    recipe: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        channels = BACKBONES[catalog.trunk_card(self.backbone).name].channels
        if self.trunk is not None and not _has_trunk(self.trunk, self.backbone):
            raise ValueError(
                f"trunk must name a metric that has one for {self.backbone!r}, or None; got {self.trunk!r}."
            )
        layers = tuple(_vector(layer, index) for index, layer in enumerate(self.layers))
        sizes = tuple(len(layer) for layer in layers)
        if sizes != channels:
            raise ValueError(f"Heads for {self.backbone!r} have {channels} weights in their layers; got {sizes}.")
        if not any(layer.any() for layer in layers):
            raise ValueError("Heads need a weight above 0; all of these are 0.")
        object.__setattr__(self, "layers", layers)

    @property
    def vector(self) -> np.ndarray:
        """All weights in one row, (C,), in the order of `metric.per_channel`."""
        return np.concatenate(self.layers)

    @classmethod
    @in_neutral_state
    def of(cls, metric: Any, backbone: str = "alex") -> "Heads":
        """The heads of a `rlpips.PerceptualMetric`, of a name of the catalogue on a backbone, or of `Heads`, which stay as they
        are. ValueError for any other metric, and for one whose trunk is not of the catalogue."""
        if isinstance(metric, Heads):
            return metric
        if isinstance(metric, str):
            catalog.check(metric, backbone)
            card = catalog.card(metric)
            if not card.has_network:
                raise ValueError(f"{card.title} has no network, and so no heads.")
            heads = weights.load_heads(metric, backbone)
            return cls(tuple(map(_array, heads)), backbone, _own_trunk(metric), (Term(metric),))
        trunk = getattr(metric, "trunk", None)
        if not isinstance(trunk, Trunk):
            raise ValueError(f"Heads are those of a metric with a trunk; got {type(metric).__name__}.")
        return cls(tuple(map(_array, metric.heads)), trunk.name, _name_of_trunk(metric), (Term(str(metric.name)),))

    @classmethod
    def mix(cls, a: Any, b: Any, share: float) -> "Heads":
        """(1 - share) of the heads of `a` and `share` of those of `b`: 0 gives a's, 1 gives b's. Both as for `Heads.of`.
        ValueError for a share outside 0…1, and for heads on different trunks."""
        validation.check_between("share", share, 0, 1)
        first, second = cls.of(a), cls.of(b)
        trunks = [(each.backbone, each.trunk) for each in (first, second)]
        if trunks[0] != trunks[1]:
            names = " and ".join(f"{backbone!r} of {trunk or 'LPIPS'}" for backbone, trunk in trunks)
            raise ValueError(f"Heads mix where their trunk is the same; these are for {names}.")
        parts = ((first, 1 - share), (second, share))
        layers = tuple(np.float32(1 - share) * x + np.float32(share) * y for x, y in zip(first.layers, second.layers))
        terms = tuple(replace(term, share=term.share * part) for heads, part in parts if part for term in heads.recipe)
        known = all(heads.recipe for heads, part in parts if part)
        return replace(first, layers=layers, recipe=terms if known else ())

    def scale_layers(self, gains: Sequence[float]) -> "Heads":
        """The weights of each layer times its gain, one number of at least 0 for each layer."""
        if len(gains) != len(self.layers):
            raise ValueError(f"gains must be {len(self.layers)} numbers, one for each layer; got {len(gains)}.")
        for gain in gains:
            validation.check_between("each gain", gain, 0, LARGEST)
        before = (term.gains or (1.0,) * len(self.layers) for term in self.recipe)
        terms = tuple(
            replace(term, gains=tuple(float(x * y) for x, y in zip(known, gains)))
            for term, known in zip(self.recipe, before)
        )
        layers = tuple(layer * np.float32(gain) for layer, gain in zip(self.layers, gains))
        return replace(self, layers=layers, recipe=terms)

    def silence(self, channels: Iterable[int]) -> "Heads":
        """Without some channels, indices in 0…C-1 counted through all layers: their weights become 0."""
        vector = self.vector
        silenced = tuple(channels)
        for channel in silenced:
            validation.check_whole("each channel", channel, 0, len(vector) - 1)
        vector[list(map(int, silenced))] = 0
        layers = tuple(np.split(vector, np.cumsum([len(layer) for layer in self.layers])[:-1]))
        terms = tuple(
            replace(term, silenced=tuple(sorted({*term.silenced, *map(int, silenced)}))) for term in self.recipe
        )
        return replace(self, layers=layers, recipe=terms)

    def save(self, path: str | os.PathLike) -> None:
        """Write a safetensors file, keys "0" … "L-1", whose metadata say in JSON what the heads are: backbone, trunk and recipe."""
        path = Path(path)
        if path.suffix != SUFFIX:
            raise ValueError(f"Heads are saved as a {SUFFIX} file; got {path.name}.")
        about = {"backbone": self.backbone, "trunk": self.trunk, "mixture": [asdict(term) for term in self.recipe]}
        tensors = {str(index): layer for index, layer in enumerate(self.layers)}
        saving.write(path, safetensors.numpy.save(tensors, {"heads": json.dumps(about)}))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Heads":
        """Heads from a safetensors file that `save` or `python -m rlpips.training` wrote. A file that is missing, damaged or holds
        something else is a ValueError."""
        path = Path(path)
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise ValueError(f"{path.name} is too large for a file of heads.")
            with safetensors.safe_open(path, framework="np") as file:
                keys, about = set(file.keys()), json.loads((file.metadata() or {}).get("heads", "{}"))
                if keys != set(map(str, range(len(keys)))):
                    raise ValueError(f'Heads have the keys "0", "1", …; {path.name} has others.')
                layers = tuple(file.get_tensor(str(index)) for index in range(len(keys)))
        except FileNotFoundError as error:
            raise ValueError(f"There is no file of heads at {path}.") from error
        except (OSError, safetensors.SafetensorError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path.name} is not a readable file of heads.") from error
        if not isinstance(about, dict):
            raise ValueError(f"{path.name} is not a readable file of heads.")
        backbone = about.get("backbone") or _backbone_of(layers)
        return cls(layers, backbone, about.get("trunk"), _terms(about.get("mixture")))


def _array(layer: torch.Tensor) -> np.ndarray:
    return layer.detach().cpu().float().numpy()


def _vector(layer: Any, index: int) -> np.ndarray:
    array = np.asarray(layer)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ValueError(
            f"Layer {index} of heads must be a vector of numbers; got {array.dtype} of shape {array.shape}."
        )
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    if not (np.isfinite(vector).all() and (vector >= 0).all() and (vector <= LARGEST).all()):  # NaN fails too
        raise ValueError(f"Weights must be finite, at least 0 and at most {LARGEST:g}; those of layer {index} are not.")
    return vector


def _has_trunk(name: Any, backbone: str) -> bool:
    """Whether a metric of the catalogue may have a trunk of its own: a tuned one, or that of an official checkpoint."""
    card = catalog.CATALOG.get(name) if isinstance(name, str) else None
    return bool(card and (card.trunk or card.official) and backbone in card.backbones)


def _own_trunk(name: str) -> str | None:
    """`name` if this metric of the catalogue has a trunk of its own, None if it has the frozen one."""
    card = catalog.card(name)
    if not card.official:
        return name if card.trunk else None
    frozen = weights.load_trunk("alex")
    same = all(torch.equal(frozen[key], value) for key, value in weights.load_official(name)[0].items())
    return None if same else name


def _name_of_trunk(metric: Any) -> str | None:
    """The same for a `PerceptualMetric`; ValueError if its trunk is neither."""
    trunk, device = metric.trunk, metric.trunk.scale.device
    if trunk.equals(load_trunk(trunk.name, device)):
        return None
    card = catalog.CATALOG.get(metric.name)
    tuned = [each.name for each in catalog.CATALOG.values() if each.trunk and trunk.name in each.backbones]
    for name in tuned:
        if trunk.equals(Trunk(trunk.name, *weights.load_tuned_trunk(name)).to(device)):
            return name
    if card and card.official:
        return card.name
    raise ValueError(
        "Heads go with a trunk of the catalogue, so that they can be loaded again; this metric has another."
    )


def _backbone_of(layers: Sequence[np.ndarray]) -> str:
    sizes = tuple(layer.size for layer in layers)
    for name, backbone in BACKBONES.items():
        if backbone.channels == sizes:
            return name
    raise ValueError(f"No backbone has layers of {sizes} channels; the backbones are {', '.join(BACKBONES)}.")


def _terms(mixture: Any) -> tuple[Term, ...]:
    """The recipe of a file, which only describes it; none if it is not understood."""
    try:
        return tuple(
            Term(
                str(term["metric"]),
                float(term["share"]),
                tuple(map(float, term["gains"])),
                tuple(map(int, term["silenced"])),
            )
            for term in mixture
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()
