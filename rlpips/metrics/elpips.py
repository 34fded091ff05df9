"""E-LPIPS: LPIPS averaged over random transformations (Kettunen et al., arXiv 1906.03973).

Both pictures of a pair get the same transformation: they are reduced by a small whole number (1 the likeliest: probability ~ 1/n²),
moved by up to 7 pixels, flipped, transposed, their colours permuted and each multiplied by a factor from 0.2 to 1. This is the paper's list,
but for the dropout inside the network; and the network is that of LPIPS here, with LPIPS's own heads.

The paper draws new transformations at every call. Here a metric draws `count` of them once, by its seed, so that it gives the same number
twice. An attack follows the mean gradient over these same transformations (expectation over transformation, Athalye et al., arXiv 1707.07397),
and so knows them: it finds more against these than against others (assets/docs/results.md).
"""

import bisect
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rlpips.metrics.backbones import Trunk
from rlpips.metrics.base import FeatureMetric

_FURTHEST = 7  # pixels by which a picture is moved
_SMALLEST = 64  # pixels a side to which a picture may be reduced
_MOST = 8  # times that it is reduced at most
_PERMUTATIONS = list(itertools.permutations(range(3)))


class ELPIPS(FeatureMetric):
    """The mean of LPIPS's distance over `count` transformations, drawn by `seed`; `trunk` and `heads` are those of LPIPS.

    A layer's map is the mean of the maps of all transformations, each brought back to the picture's own place and orientation and
    scaled so that its mean is its share: the borders that a transformation adds count in its share.
    """

    name = "elpips"

    def __init__(self, trunk: Trunk, heads: Sequence[Tensor], count: int = 8, seed: int = 0) -> None:
        super().__init__()
        self.network = trunk
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head.to(trunk.scale.device))
        generator = torch.Generator().manual_seed(seed)
        self.transformations = [Transformation(generator) for _ in range(count)]

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of LPIPS on the same backbone."""
        return self.network.spec.layers

    def features(self, x: Tensor) -> list[Tensor]:
        """The picture, for its size, and the features of each transformation of it, layer by layer."""
        return [x, *(layer for each in self.transformations for layer in self.network(each(x)))]

    def compare(self, of_x: Sequence[Tensor], of_y: Sequence[Tensor]) -> list[Tensor]:
        size, count = of_x[0].shape[-2:], len(self.layers)
        layers = []
        for index in range(count):
            head = getattr(self, f"head{index}").view(1, -1, 1, 1)
            maps = [
                F.conv2d((x - y).square(), head)
                for x, y in zip(of_x[1 + index :: count], of_y[1 + index :: count], strict=True)
            ]
            layers.append(self._merge(maps, size))
        return layers

    def _merge(self, maps: list[Tensor], size: torch.Size) -> Tensor:
        """The mean (N, h, w) of one layer's maps (N, 1, h_t, w_t), in the picture's own place."""
        shapes = [
            each.shape[:1:-1] if how.transposed else each.shape[2:]
            for how, each in zip(self.transformations, maps, strict=True)
        ]
        shape = max(height for height, _ in shapes), max(width for _, width in shapes)
        merged = []
        for how, each in zip(self.transformations, maps, strict=True):
            where = how.back(each.detach(), size, shape)
            mean = where.mean((1, 2, 3), keepdim=True)
            where = torch.where(mean > 0, where / mean, torch.ones_like(where))
            merged.append((each.mean((1, 2, 3), keepdim=True) * where)[:, 0])
        return torch.stack(merged).mean(0)


class Transformation:
    """One transformation of pictures (N, 3, H, W). What is drawn fits pictures of any size."""

    def __init__(self, generator: torch.Generator) -> None:
        level, *axes, transposed, permutation = torch.rand(9, generator=generator).tolist()
        self._level, self._rows, self._columns = level, axes[:3], axes[3:]
        self.transposed = transposed < 0.5
        self._colours = list(_PERMUTATIONS[int(permutation * len(_PERMUTATIONS))])
        self._factors = (0.2 + 0.8 * torch.rand(3, generator=generator)).view(1, 3, 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        level, rows, columns = self._fitted(x.shape[-2:])
        x = F.pad(x, (*columns.to_level, *rows.to_level), mode="reflect")
        x = F.avg_pool2d(x, level)
        x = F.pad(x, (*columns.moved, *rows.moved), mode="reflect")
        x = x.flip([axis for axis, fitted in ((2, rows), (3, columns)) if fitted.flipped])
        x = x.mT if self.transposed else x
        return x[:, self._colours] * self._factors.to(x)

    def back(self, maps: Tensor, size: Sequence[int], shape: Sequence[int]) -> Tensor:
        """Maps (N, 1, h_t, w_t) of transformed pictures, sampled at (h, w) = `shape` places of the pictures, H×W = `size`."""
        _, rows, columns = self._fitted(size)
        # Where the pictures' x and y, from -1 to 1, lie in the transformed pictures, as affine_grid wants it.
        (from_y, by_y), (from_x, by_x) = rows.place, columns.place
        places = [[by_x, 0, from_x], [0, by_y, from_y]]
        theta = maps.new_tensor(places[::-1] if self.transposed else places).expand(len(maps), 2, 3)
        grid = F.affine_grid(theta, [len(maps), 1, *shape], align_corners=False)
        return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)

    def _fitted(self, size: Sequence[int]) -> tuple[int, "_Axis", "_Axis"]:
        """The factor by which a picture of this size is reduced, and what happens to its rows and columns."""
        most = min(_MOST, max(1, min(size) // _SMALLEST))
        sums = list(itertools.accumulate(level**-2 for level in range(1, most + 1)))
        level = 1 + bisect.bisect(sums, self._level * sums[-1])
        return level, _fit(size[0], level, *self._rows), _fit(size[1], level, *self._columns)


class _Axis(NamedTuple):
    """What happens to the rows or the columns of a picture."""

    to_level: tuple[int, int]  # how many are added before and after, by reflection, so that the factor divides them
    moved: tuple[int, int]  # how many are added to the reduced picture, together always as many
    flipped: bool
    place: tuple[float, float]  # where the picture's middle then is, and half its length, from -1 to 1


def _fit(size: int, level: int, part: float, move: float, flip: float) -> _Axis:
    whole = (size + 2 * (level - 1)) // level
    before, end = int(part * level), int(move * (_FURTHEST + 1))
    begin, flipped, length = _FURTHEST - end, flip < 0.5, whole + _FURTHEST
    middle = 2 * (begin + (before + size / 2) / level) / length - 1
    half = size / level / length
    place = (-middle, -half) if flipped else (middle, half)
    return _Axis((before, whole * level - size - before), (begin, end), flipped, place)
