"""What several metrics say about several lanes against their references, in one forward pass per trunk."""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F

from rlpips import catalog, images
from rlpips.backbones import EPS, pick_device, unit_length
from rlpips.fidelity import psnr, ssim
from rlpips.metrics import layer_shares, load_metric, merge_maps, stack_heads
from rlpips.norms import L2, LINF
from rlpips.trace import Frame, Step, Trace

_MAP_SIDE = 96  # the longer side of a stored map: AlexNet's finest layer has 63 positions at 256 pixels


class Panel:
    """Metrics reading batches of pictures against fixed references (N, 3, H, W), whose features are computed once.

    A batch holds K lanes of every reference, one reference after the other: (N·K, 3, H, W).
    """

    def __init__(self, metrics, reference):
        self.metrics = list(metrics)
        self.reference = reference
        self._groups = []  # per trunk: (trunk, which metrics, their heads, the references' features)
        with torch.no_grad():
            for trunk in {id(metric.trunk): metric.trunk for metric in self.metrics}.values():
                members = [index for index, metric in enumerate(self.metrics) if metric.trunk is trunk]
                heads = stack_heads([self.metrics[index] for index in members])
                features = [unit_length(layer) for layer in trunk.raw(reference)]
                self._groups.append((trunk, members, heads, features))
        order = [index for _, members, _, _ in self._groups for index in members]
        self._order = sorted(range(len(order)), key=order.__getitem__)  # back to the order in which metrics were given

    def maps(self, x):
        """A list of L maps (N·K, M, h_l, w_l)."""
        found = [
            [LaneMap.apply(*layer) for layer in zip(trunk.raw(x), features, heads, strict=True)]
            for trunk, _, heads, features in self._groups
        ]
        if len(found) == 1:
            return found[0]
        return [torch.cat(layer, 1)[:, self._order] for layer in zip(*found)]

    def shares(self, x):
        """Distances per layer, (N·K, M, L); they sum over layers to the distances."""
        return layer_shares(self.maps(x))

    @torch.no_grad()
    def frame(self, step, lanes, x, start):
        """The `Frame` of each of the N references: its lanes `x` (N·K, 3, H, W) rounded to 8 bits and measured as such.

        `start` (N·K, 3, H, W) is what was pushed, in 8 bits (see `in_8_bits`), as that is what people see.
        """
        shown = in_8_bits(x)
        maps = self.maps(shown)
        height, width = maps[0].shape[-2:]
        scale = min(1, _MAP_SIDE / max(height, width))
        parts = {
            "attacked": torch.from_numpy(images.to_uint8(shown)),
            "maps": merge_maps(maps, (max(1, round(height * scale)), max(1, round(width * scale)))),
            "distance_8bit": layer_shares(maps).sum(-1),
            "linf_8bit": LINF.measure(shown - start),
            "l2_8bit": L2.measure(shown - start),
            "psnr": psnr(shown, start),
            "ssim": ssim(shown, start),
        }
        parts = {key: _by_picture(value, len(self.reference)) for key, value in parts.items()}
        return [
            Frame(step=step, lanes=tuple(lanes), **{key: value[index] for key, value in parts.items()})
            for index in range(len(self.reference))
        ]


class LaneMap(torch.autograd.Function):
    """`unit_length` and `layer_maps` of one layer in one, (N·K, C, h, w) raw features to (N·K, M, h, w), with the gradient
    written out: nearly all the time that attacks spend outside of convolutions goes here, and this halves it.

    `reference` holds the unit features of N pictures, (N, C, h, w); `features` those of K lanes of each, one picture after
    the other. Only `features` get a gradient.
    """

    @staticmethod
    def forward(ctx, features, reference, head):
        length = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min_(EPS)
        unit = features / length
        difference = (unit.unflatten(0, (len(reference), -1)) - reference[:, None]).flatten(0, 1)
        ctx.save_for_backward(unit, difference, length, head)
        return F.conv2d(difference.square(), head)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        unit, difference, length, head = ctx.saved_tensors
        by_unit = F.conv2d(gradient, head.transpose(0, 1)).mul_(difference).mul_(2)
        along = (by_unit * unit).sum(1, keepdim=True)  # what would only change the length is lost in the scaling
        return by_unit.addcmul_(unit, along, value=-1).div_(length), None, None


def in_8_bits(x):
    """Images (N, 3, H, W) in [0, 1], rounded to multiples of 1/255."""
    return (x * 255).round() / 255


@dataclass(frozen=True)
class Reading:
    """What there is to say about a batch of N·K lanes: distances per layer (N·K, M, L), and the norms reached, (N·K,)."""

    shares: torch.Tensor
    linf: torch.Tensor
    l2: torch.Tensor

    @staticmethod
    def of(shares, perturbation):
        return Reading(shares, LINF.measure(perturbation), L2.measure(perturbation))

    def beside(self, other, count):
        """Both, picture by picture: the lanes of `self` and after them those of `other`."""
        pairs = ((getattr(self, each.name), getattr(other, each.name)) for each in fields(self))
        return Reading(
            *(torch.cat([part.unflatten(0, (count, -1)) for part in pair], 1).flatten(0, 1) for pair in pairs)
        )

    def steps(self, index, restart, frames, count):
        """One `Step` for each of `count` pictures; `frames` has their frames, or is empty."""
        per_layer, linf, l2 = (_by_picture(part, count) for part in (self.shares, self.linf, self.l2))
        return [
            Step(index, restart, per_layer[n].sum(-1), per_layer[n], linf[n], l2[n], frames[n] if frames else ())
            for n in range(count)
        ]


def _by_picture(tensor, count):  # (N·K, …) on any device -> numpy (N, K, …)
    return tensor.detach().cpu().unflatten(0, (count, -1)).numpy()


def compare(reference, other, metrics=("lpips", "rlpips-linf"), backbone="alex", device=None):
    """What every metric says about two given pictures: a `Trace` with the one lane "pair" and the one step 0.

    `reference` and `other`: a tensor, an array, a PIL image or a path each, of the same size (ValueError otherwise).
    """
    device, metrics = pick_device(device), check_metrics(metrics, backbone)
    x, y = images.to_tensor(reference, device), images.to_tensor(other, device)
    if len(x) != 1 or x.shape != y.shape:
        sizes = " and ".join("×".join(map(str, each.shape)) for each in (x, y))
        raise ValueError(f"A pair is two single pictures of one size; got {sizes} (N×3×H×W).")
    check_size(x)
    panel = Panel([load_metric(name, backbone, device) for name in metrics], x)
    with torch.no_grad():
        seen = in_8_bits(x)
        shown = panel if torch.equal(seen, x) else Panel(panel.metrics, seen)
        step = Reading.of(panel.shares(y), y - x).steps(0, 0, [shown.frame(0, (0,), y, seen)], 1)[0]
    return Trace(
        name=images.name_of(reference), lanes=("pair",), metrics=metrics, layers=panel.metrics[0].layers,
        distance=step.distance[None], per_layer=step.per_layer[None], linf=step.linf[None], l2=step.l2[None],
        frames=step.frames, reference=images.to_uint8(x)[0], start=images.to_uint8(x)[0],
        receipt={"objective": "pair", "steps": 0, "backbone": backbone, **surroundings(device)},
    )  # fmt: skip


def check_size(x):
    """ValueError for pictures larger than a trace may hold."""
    if max(x.shape[-2:]) > images.LARGEST_SIDE:
        height, width = x.shape[-2:]
        raise ValueError(f"Pictures have at most {images.LARGEST_SIDE} pixels a side here; got {height}×{width} (H×W).")


def check_metrics(metrics, backbone):
    """The names as a tuple: at least one, each once, and all with heads for the backbone; ValueError if not. Asked before
    anything is loaded, as loading may mean a download."""
    metrics = (metrics,) if isinstance(metrics, str) else metrics
    if not isinstance(metrics, (tuple, list)) or not metrics or any(metrics.count(name) > 1 for name in metrics):
        raise ValueError(f"metrics must name at least one metric, each once; got {metrics!r}.")
    for name in metrics:
        catalog.check(name, backbone)
    return tuple(metrics)


def surroundings(device):
    """What the numbers were computed with: device, precision and versions, for a receipt."""
    from rlpips import __version__

    title = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    precision = (
        "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "float32"
    )  # of its convolutions
    return {"device": title, "precision": precision, "rlpips": __version__, "torch": torch.__version__}
