"""The classifiers that can be loaded, and where their weights come from. Only data, no torch, as in `rlpips.zoo.catalog`."""

from dataclasses import dataclass

from rlpips.validation import shown

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class ClassifierCard:
    """One classifier: for CIFAR-10 a safetensors file in assets/weights/, for ImageNet torchvision's own file."""

    name: str
    title: str
    file: str  # in torchvision's file names the eight hex digits are the start of the file's sha256
    training: str  # one sentence
    source: str
    licence: str
    paper: str  # a key of `rlpips.zoo.references`
    sha256: str = ""  # of the whole file, 64 hex digits; empty: not trained yet, or torchvision's
    classes: tuple[str, ...] = CIFAR10_CLASSES  # empty for ImageNet: torchvision has its thousand names
    size: int = 32  # pixels a side
    model: str = ""  # torchvision's name of the network; empty: the small ResNet of `rlpips.classifiers`
    megabytes: float = 0.6

    @property
    def url(self) -> str:
        """Where torchvision's file is; empty for our own, which are shipped."""
        return "https://download.pytorch.org/models/" + self.file if self.model else ""


def _small(name: str, title: str, sha256: str, training: str, paper: str) -> ClassifierCard:
    return ClassifierCard(
        name=name,
        title=title,
        file=f"classifier_{name}.safetensors",
        sha256=sha256,
        training=training,
        source="this project, python -m rlpips.classifiers, on CIFAR-10",
        licence="BSD-3-Clause",
        paper=paper,
    )


CLASSIFIERS: dict[str, ClassifierCard] = {
    card.name: card
    for card in (
        _small(
            "undefended",
            "Undefended",
            "6046d6f6198a4951d2f855a25d36426059271130dcfc61e19d5a5e856010016b",
            "Trained here on clean pictures only.",
            "he2016deep",
        ),
        _small(
            "at-linf",
            "AT l∞",
            "d41f3a7727383c67b4ed8b31d76fb5e5072930387552f8b9756470e30ee3535b",
            "Trained here on pictures attacked by PGD in an l∞ ball of 8/255.",
            "madry2018towards",
        ),
        _small(
            "at-l2",
            "AT l2",
            "1cfb40343ed443f8e7450978f50b0689a3a0b6f97d85a42881dbff98b5dc9e42",
            "Trained here on pictures attacked by PGD in an l2 ball of 1.0.",
            "madry2018towards",
        ),
        _small(
            "pat-self",
            "PAT self",
            "58000741c29ac24ad92edba94db138d25056ab87beee8dce34f22daaafb1f49b",
            "Trained here on pictures attacked by Fast-LPA within 0.5 in the classifier's own features.",
            "laidlaw2021perceptual",
        ),
        _small(
            "pat-alexnet",
            "PAT AlexNet",
            "62a726071e34b7c933789b157dde4764fe6578e5a0cf9ee8dcd1031f248e9a59",
            "Trained here on pictures attacked by Fast-LPA within 0.3 in the features of LPIPS on AlexNet.",
            "laidlaw2021perceptual",
        ),
        _small(
            "pat-rlpips",
            "PAT R-LPIPS",
            "0cd9ebb31708726320ca9a138f569ebc5cf1d199ab3686eb4ee186eb11998b10",
            "Trained here on pictures attacked by Fast-LPA within 0.3 in the features of R-LPIPS on AlexNet (R-PAT).",
            "ghazanfari2023rlpips",
        ),
        ClassifierCard(
            name="alexnet-imagenet",
            title="AlexNet (ImageNet)",
            file="alexnet-owt-7be5be79.pth",
            training="Trained by torchvision on ImageNet's clean pictures.",
            source="torchvision AlexNet IMAGENET1K_V1",
            licence="BSD-3-Clause",
            paper="krizhevsky2014one",
            classes=(),
            size=224,
            model="alexnet",
            megabytes=233,
        ),
        ClassifierCard(
            name="resnet50-imagenet",
            title="ResNet-50 (ImageNet)",
            file="resnet50-0676ba61.pth",
            training="Trained by torchvision on ImageNet's clean pictures.",
            source="torchvision ResNet-50 IMAGENET1K_V1",
            licence="BSD-3-Clause",
            paper="he2016deep",
            classes=(),
            size=224,
            model="resnet50",
            megabytes=98,
        ),
    )
}


def card(name: str) -> ClassifierCard:
    """The card of the classifier called `name`; ValueError listing the names if there is none."""
    if not isinstance(name, str) or name not in CLASSIFIERS:
        raise ValueError(f"Unknown classifier {shown(name)}; the classifiers are {', '.join(CLASSIFIERS)}.")
    return CLASSIFIERS[name]
