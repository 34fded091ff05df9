"""The metrics and the networks under them that can be loaded, and where their weights come from.

Only data, no torch: the page reads its choices from here. Every weights file is listed with the digest that
`rlpips.zoo.weights` checks when it loads the file.

A new metric needs a card in CATALOG, its paper in `rlpips.zoo.references`, and its figures in assets/weights/ (`rlpips.zoo.cards`).
With LPIPS's formula and a file of heads that is all; any other has a class in `rlpips.metrics`, which
`rlpips.metrics.lpips.shared_metric` makes by its name.
"""

from dataclasses import dataclass, field
from typing import Any

from rlpips.validation import shown

PIXELS = "mse"  # the yardstick beside the metrics that have a network
PAIR = ("lpips", "rlpips-linf")  # the two metrics that are compared by default
OFFICIAL_FOLDER = "https://raw.githubusercontent.com/SaraGhazanfari/R-LPIPS/main/checkpoints/"


@dataclass(frozen=True)
class WeightsFile:
    """A safetensors file. The heads of a metric, in assets/weights/, have keys "0" … "L-1", each (C_l,) float32 and >= 0."""

    file: str
    sha256: str  # of the whole file, 64 hex digits; empty: not trained yet


@dataclass(frozen=True)
class Checkpoint:
    """A complete LPIPS state dict published by others: trunk and heads in one file, for AlexNet."""

    file: str
    blob_id: str  # git's name for the content: sha1 of b"blob <size>\\0" + bytes
    url: str


@dataclass(frozen=True)
class PackagedFile:
    """A file of weights, saved by torch, that a Python package of others carries; it may also lie where downloads do."""

    file: str
    sha256: str  # of the whole file, 64 hex digits
    package: str  # as Python imports it
    folder: str  # in the package
    project: str  # as pip installs it


@dataclass(frozen=True)
class MetricCard:
    """One metric: its names, its colour in charts, its credits and its files.

    `heads` has one file per backbone. A card with an `official` checkpoint has no heads file: trunk and heads both come from
    the checkpoint. A card with a `trunk` has one of its own, on AlexNet: keys features.N.weight and features.N.bias, float16, and
    softness (L,). The metrics of others have, in place of heads, `packaged` files with trunk and heads, one per backbone; or `weights`
    for the features of the backbone `always`, whichever is chosen; or they are made `of` another metric of the catalogue.
    """

    name: str
    title: str
    color: str  # hex, for light backgrounds; differs from the others' for colour-blind people too
    source: str
    licence: str
    training: str  # one sentence
    paper: str  # a key of `rlpips.zoo.references`
    heads: dict[str, WeightsFile] = field(default_factory=dict)
    official: Checkpoint | None = None
    trunk: WeightsFile | None = None
    packaged: dict[str, PackagedFile] = field(default_factory=dict)
    weights: WeightsFile | None = None  # in assets/weights/
    always: str = ""
    of: str = ""
    cost: int = 1  # a step's time over that of LPIPS on AlexNet, roughly, where its trunk's cost does not say it

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbones that this metric can be loaded on; one without a network, or always on the same, goes with all of them."""
        if self.of:
            return CATALOG[self.of].backbones
        return ("alex",) if self.official else tuple(self.heads or self.packaged or TRUNKS)

    def trunk_of(self, backbone: str) -> str:
        """The backbone whose features it compares where `backbone` is chosen; empty for one without a network."""
        return self.always or (backbone if self.has_network else "")

    @property
    def has_network(self) -> bool:
        """Whether it compares features of a network."""
        return bool(self.heads or self.official or self.packaged or self.always or self.of)


@dataclass(frozen=True)
class TrunkCard:
    """One frozen network: our file with only its convolutions, and torchvision's own file."""

    name: str
    title: str
    features: WeightsFile | None  # keys features.N.weight and features.N.bias
    bundled: bool  # whether `features` is shipped in assets/weights/
    torchvision: str  # file name; its eight hex digits are the start of the file's sha256
    megabytes: int  # size of torchvision's file
    source: str
    licence: str
    paper: str  # a key of `rlpips.zoo.references`
    cost: int = 1  # how many times as long as AlexNet's a pass takes, roughly

    @property
    def url(self) -> str:
        """Where torchvision's file is."""
        return "https://download.pytorch.org/models/" + self.torchvision


TRUNKS: dict[str, TrunkCard] = {
    trunk.name: trunk
    for trunk in (
        TrunkCard(
            name="alex",
            title="AlexNet",
            features=WeightsFile(
                "alexnet_features.safetensors",
                "9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9",
            ),
            bundled=True,
            torchvision="alexnet-owt-7be5be79.pth",
            megabytes=233,
            source="torchvision AlexNet IMAGENET1K_V1, convolutions only",
            licence="BSD-3-Clause",
            paper="krizhevsky2014one",
        ),
        TrunkCard(
            name="vgg",
            title="VGG16",
            features=WeightsFile(
                "vgg16_features.safetensors",
                "cabd922aeb0dd6d56f2bed33221aee74b7f1e760ddd105c0e0891606cbab6d0d",
            ),
            bundled=False,
            torchvision="vgg16-397923af.pth",
            megabytes=528,
            source="torchvision VGG16 IMAGENET1K_V1, convolutions only",
            licence="BSD-3-Clause",
            paper="simonyan2015very",
            cost=20,
        ),
        TrunkCard(
            name="squeeze",
            title="SqueezeNet 1.1",
            features=None,
            bundled=False,
            torchvision="squeezenet1_1-b8a52dc0.pth",
            megabytes=5,
            source="torchvision SqueezeNet 1.1 IMAGENET1K_V1, convolutions only",
            licence="BSD-3-Clause",
            paper="iandola2016squeezenet",
        ),
    )
}


def _official(variant: str, file: str, blob_id: str, training: str) -> MetricCard:
    return MetricCard(
        name=f"rlpips-official-{variant}",
        title=f"R-LPIPS official ({variant})",
        color="#CC79A7",
        source="github.com/SaraGhazanfari/R-LPIPS, folder checkpoints",
        licence="none stated; downloaded from its authors, never shipped",
        training=training,
        paper="ghazanfari2023rlpips",
        official=Checkpoint(file, blob_id, OFFICIAL_FOLDER + file),
    )


CATALOG: dict[str, MetricCard] = {
    card.name: card
    for card in (
        MetricCard(
            name="lpips",
            title="LPIPS",
            color="#D55E00",
            source="the lpips package 0.1.4, weights v0.1",
            licence="BSD-2-Clause",
            training="Heads learnt from human judgements of image pairs (BAPPS), the trunk frozen.",
            paper="zhang2018lpips",
            heads={
                "alex": WeightsFile(
                    "lpips_alex.safetensors",
                    "1d41531cd971abcf97d12305095362450288a80067814aa8d4ce51b0508b3737",
                ),
                "vgg": WeightsFile(
                    "lpips_vgg.safetensors",
                    "cca3883c0ebf4d1d290424868e62db4899b1f2bbdc009b1abec6093ee67b2bc9",
                ),
                "squeeze": WeightsFile(
                    "lpips_squeeze.safetensors",
                    "0f427375e78838f13fac5e25ebc1315561a7998d1242e36fdb1162914e9248a2",
                ),
            },
        ),
        MetricCard(
            name="rlpips-linf",
            title="R-LPIPS l∞",
            color="#0072B2",
            source="this project, python -m rlpips.training",
            licence="BSD-3-Clause",
            training="Heads trained here on clean pairs and pairs attacked in an l∞ ball, the trunk frozen.",
            paper="ghazanfari2023rlpips",
            heads={
                "alex": WeightsFile(
                    "rlpips-linf_alex.safetensors", "73089def69c6536037a98da0435f1f3247abf53ce29d3d9ad1f62ec04ed0d6a1"
                ),
                "vgg": WeightsFile(
                    "rlpips-linf_vgg.safetensors", "cfe3ff7fc917a99304335a6ec8813f30874a0b5a33439f7b5d63ae426f32f600"
                ),
            },
        ),
        MetricCard(
            name="rlpips-l2",
            title="R-LPIPS l2",
            color="#009E73",
            source="this project, python -m rlpips.training",
            licence="BSD-3-Clause",
            training="Heads trained here on clean pairs and pairs attacked in an l2 ball, the trunk frozen.",
            paper="ghazanfari2023rlpips",
            heads={
                "alex": WeightsFile(
                    "rlpips-l2_alex.safetensors", "ec2b06911981d09c443596f169927e835d5cda2a02f64d509f0685151d34170e"
                ),
                "vgg": WeightsFile(
                    "rlpips-l2_vgg.safetensors", "83f28e8c8314d856efde9f28b96376f7d843a4341b33cc48aba0f07f8929c881"
                ),
            },
        ),
        MetricCard(
            name="rlpips-tune",
            title="R-LPIPS tune",
            color="#882255",
            source="this project, python -m rlpips.training tune",
            licence="BSD-3-Clause",
            training="Heads and trunk trained here on clean pairs and pairs attacked in an l∞ ball.",
            paper="ghazanfari2023rlpips",
            heads={
                "alex": WeightsFile(
                    "rlpips-tune_alex.safetensors", "b1e77962783a21306f2a704d4ee5ed999cde648ba0725ecf13de8ff260b1ce03"
                )
            },
            trunk=WeightsFile(
                "rlpips-tune_alex_trunk.safetensors", "cf3823071d5f1b06607e0cc6617ac9138e29b924323c160058f7f858b33ec472"
            ),
        ),
        MetricCard(
            name="mse",
            title="pixel MSE",
            color="#6B6B6B",
            source="this project",
            licence="BSD-3-Clause",
            training="None: the mean squared difference of pixels.",
            paper="gonzalez2018digital",
        ),
        MetricCard(
            name="ssim",
            title="1 − SSIM",
            color="#8A6D00",
            source="this project",
            licence="BSD-3-Clause",
            training="None: one minus the structural similarity of the luma.",
            paper="wang2004ssim",
        ),
        MetricCard(
            name="dists",
            title="DISTS",
            color="#332288",
            source="the DISTS-pytorch package 0.1, on torchvision's VGG16",
            licence="MIT",
            training="Weights of textures and structures learnt from human judgements (KADID-10k) and from textures, VGG16 frozen.",
            paper="ding2020dists",
            weights=WeightsFile(
                "dists.safetensors", "745cdae1b30c00fe14c81d72f852015ae5c33dc3d83c49d4c928295c1cfc4ce9"
            ),
            always="vgg",
            cost=30,
        ),
        MetricCard(
            name="st-lpips",
            title="ST-LPIPS",
            color="#117733",
            source="the stlpips-pytorch package 0.0.2",
            licence="BSD-2-Clause",
            training="Trunk and heads trained by the paper's authors to judge alike where a picture is shifted (BAPPS).",
            paper="ghildyal2022stlpips",
            packaged={
                backbone: PackagedFile(
                    f"{backbone}_shift_tolerant.pth", sha256, "stlpips_pytorch", "weights/vST0.0", "stlpips-pytorch"
                )
                for backbone, sha256 in (
                    ("alex", "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"),
                    ("vgg", "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250"),
                )
            },
            cost=10,
        ),
        MetricCard(
            name="elpips",
            title="E-LPIPS",
            color="#7A4A1E",
            source="this project, on LPIPS",
            licence="BSD-2-Clause, as LPIPS's heads",
            training="None of its own: LPIPS, averaged over eight transformations drawn once.",
            paper="kettunen2019elpips",
            of="lpips",
            cost=10,
        ),
        _official(
            "x0",
            "latest_net_linf_x0.pth",
            "f1435696083bf5b16385efd794af44fcbe49f175",
            "Heads trained by the paper's authors with l∞ attacks on the first candidate.",
        ),
        _official(
            "x1",
            "latest_net_linf_x1.pth",
            "aa4bfe7ffaed14127b0de360f6e7e08da286b760",
            "Heads trained by the paper's authors with l∞ attacks on the second candidate.",
        ),
        _official(
            "x0-x1",
            "latest_net_linf_x0_x1.pth",
            "148f72f8edb5ce28bd8c8092018251f63890a388",
            "Heads trained by the paper's authors with l∞ attacks on both candidates.",
        ),
        _official(
            "ref",
            "latest_net_linf_ref.pth",
            "9c94a5bdf515e1724a0229f07b0442ba309490b5",
            "Heads trained by the paper's authors with l∞ attacks on the reference.",
        ),
        _official(
            "x0-tune",
            "latest_net_linf_x0_tune.pth",
            "fcbd70019fadddff346f3ddccfae448dea771fa3",
            "Heads and trunk trained by the paper's authors with l∞ attacks on the first candidate.",
        ),
    )
}


def card(name: str) -> MetricCard:
    """The card of the metric called `name`; ValueError listing the names if there is none."""
    if not isinstance(name, str) or name not in CATALOG:
        raise ValueError(f"Unknown metric {shown(name)}; the metrics are {', '.join(CATALOG)}.")
    return CATALOG[name]


def trunk_card(backbone: str) -> TrunkCard:
    """The card of the network called `backbone`; ValueError listing the names if there is none."""
    if not isinstance(backbone, str) or backbone not in TRUNKS:
        raise ValueError(f"Unknown backbone {shown(backbone)}; the backbones are {', '.join(TRUNKS)}.")
    return TRUNKS[backbone]


def check(name: str, backbone: str) -> None:
    """ValueError unless the metric `name` exists and has heads for `backbone`; the sentence lists what exists."""
    metric, trunk = card(name), trunk_card(backbone)
    if backbone not in metric.backbones:
        raise ValueError(
            f"{metric.title} has no heads for {trunk.title} ({backbone!r}); "
            f"there are heads for {', '.join(metric.backbones)}."
        )


def cost(metrics: Any, backbone: str) -> int:
    """How many times as long as LPIPS's on AlexNet a step of the slowest of these metrics takes, roughly; at least as the backbone.
    Names or callables: one that the catalogue does not list counts as LPIPS does."""
    known = [CATALOG[name].cost for name in map(name_of, metrics) if name in CATALOG]
    return max([trunk_card(backbone).cost, *known])


def name_of(metric: Any) -> str:
    """What traces and tables call a metric: its name in the catalogue, its attribute `name`, or the name of its function or class."""
    if isinstance(metric, str):
        return metric
    return str(getattr(metric, "name", None) or getattr(metric, "__name__", type(metric).__name__))


def check_metrics(metrics: Any, backbone: str) -> tuple[Any, ...]:
    """The metrics as a tuple: at least one, each once; names of the catalogue, with heads for the backbone, or callables. ValueError if
    not. Call it before anything is loaded, as loading may mean a download."""
    some = (metrics,) if isinstance(metrics, str) or callable(metrics) else metrics
    names = [name_of(metric) for metric in some] if isinstance(some, tuple | list) else []
    if not names or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        got = f"{', '.join(twice)} twice (a metric of your own has the attribute `name`)" if twice else shown(metrics)
        raise ValueError(f"metrics must name at least one metric, each once; got {got}.")
    for metric in some:
        if not callable(metric):
            check(metric, backbone)
        elif name_of(metric) == "noise" or (name_of(metric) in CATALOG and not hasattr(metric, "layer_maps")):
            raise ValueError(f"A metric of your own needs a name of its own; {name_of(metric)!r} is taken.")
    return tuple(some)
