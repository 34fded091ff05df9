"""The papers that the project stands on, and where they can be read. Only data: pages, exports and cards name a paper by its key here."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One paper, with the fields of its BibTeX entry.

    key     as BibTeX, and everything here, calls it
    kind    of the entry: "article", "inproceedings", "misc" or "book"
    short   what it gave this project: "LPIPS"
    author  "Given Family and Given Family", as BibTeX writes it
    venue   the journal or the proceedings; empty for a preprint
    arxiv   its number there, or empty
    doi     or empty
    """

    key: str
    kind: str
    short: str
    author: str
    title: str
    year: int
    venue: str = ""
    arxiv: str = ""
    doi: str = ""
    publisher: str = ""

    @property
    def url(self) -> str:
        """Where it can be read; empty for a book."""
        return (
            f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else f"https://doi.org/{self.doi}" if self.doi else ""
        )

    @property
    def authors(self) -> str:
        """The authors as a list of sources writes them: "R. Zhang, P. Isola"."""
        return ", ".join(map(_with_initials, self.author.split(" and ")))

    @property
    def bibtex(self) -> str:
        """The entry."""
        held = {"inproceedings": "booktitle", "article": "journal"}.get(self.kind, "")
        fields = {
            "author": self.author,
            # In braces of its own, so that no style changes the capitals of names.
            "title": f"{{{self.title}}}",
            held: self.venue,
            "publisher": self.publisher,
            "year": str(self.year),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
            "url": self.url,
        }
        lines = [f"  {name} = {{{_for_tex(value)}}}," for name, value in fields.items() if name and value]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


# What TeX or older BibTeX reads another way.
_TEX = {"ä": r"{\"a}", "ö": r"{\"o}", "Å": r"{\AA}", "ł": r"{\l}", "<": "$<$"}


def _for_tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _with_initials(name: str) -> str:
    *given, family = name.split()
    parts = ["-".join(f"{part[0]}." for part in each.split("-")) for each in given]
    return " ".join([*parts, family])


REFERENCES: dict[str, Reference] = {
    each.key: each
    for each in (
        Reference(
            "zhang2018lpips", "inproceedings", "LPIPS",
            "Richard Zhang and Phillip Isola and Alexei A. Efros and Eli Shechtman and Oliver Wang",
            "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
            2018, "IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)", "1801.03924",
        ),
        Reference(
            "ghazanfari2023rlpips", "misc", "R-LPIPS",
            "Sara Ghazanfari and Siddharth Garg and Prashanth Krishnamurthy and Farshad Khorrami and Alexandre Araujo",
            "R-LPIPS: An Adversarially Robust Perceptual Similarity Metric", 2023, arxiv="2307.15157",
        ),
        Reference(
            "madry2018towards", "inproceedings", "PGD",
            "Aleksander Madry and Aleksandar Makelov and Ludwig Schmidt and Dimitris Tsipras and Adrian Vladu",
            "Towards Deep Learning Models Resistant to Adversarial Attacks",
            2018, "International Conference on Learning Representations (ICLR)", "1706.06083",
        ),
        Reference(
            "croce2020reliable", "inproceedings", "APGD",
            "Francesco Croce and Matthias Hein",
            "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks",
            2020, "International Conference on Machine Learning (ICML)", "2003.01690",
        ),
        Reference(
            "xiao2018spatially", "inproceedings", "stAdv",
            "Chaowei Xiao and Jun-Yan Zhu and Bo Li and Warren He and Mingyan Liu and Dawn Song",
            "Spatially Transformed Adversarial Examples",
            2018, "International Conference on Learning Representations (ICLR)", "1801.02612",
        ),
        Reference(
            "laidlaw2019functional", "inproceedings", "ReColorAdv",
            "Cassidy Laidlaw and Soheil Feizi", "Functional Adversarial Attacks",
            2019, "Advances in Neural Information Processing Systems (NeurIPS)", "1906.00001",
        ),
        Reference(
            "laidlaw2021perceptual", "inproceedings", "PPGD, LPA, PAT",
            "Cassidy Laidlaw and Sahil Singla and Soheil Feizi",
            "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models",
            2021, "International Conference on Learning Representations (ICLR)", "2006.12655",
        ),
        Reference(
            "ding2020dists", "article", "DISTS",
            "Keyan Ding and Kede Ma and Shiqi Wang and Eero P. Simoncelli",
            "Image Quality Assessment: Unifying Structure and Texture Similarity",
            2020, "IEEE Transactions on Pattern Analysis and Machine Intelligence", "2004.07728",
        ),
        Reference(
            "ghildyal2022stlpips", "inproceedings", "ST-LPIPS",
            "Abhijay Ghildyal and Feng Liu", "Shift-tolerant Perceptual Similarity Metric",
            2022, "European Conference on Computer Vision (ECCV)", "2207.13686",
        ),
        Reference(
            "kettunen2019elpips", "misc", "E-LPIPS",
            "Markus Kettunen and Erik Härkönen and Jaakko Lehtinen",
            "E-LPIPS: Robust Perceptual Image Similarity via Random Transformation Ensembles", 2019, arxiv="1906.03973",
        ),
        Reference(
            "wang2004ssim", "article", "SSIM",
            "Zhou Wang and Alan C. Bovik and Hamid R. Sheikh and Eero P. Simoncelli",
            "Image Quality Assessment: From Error Visibility to Structural Similarity",
            2004, "IEEE Transactions on Image Processing", doi="10.1109/TIP.2003.819861",
        ),
        Reference(
            "gonzalez2018digital", "book", "pixel MSE", "Rafael C. Gonzalez and Richard E. Woods",
            "Digital Image Processing", 2018, publisher="Pearson",
        ),
        Reference(
            "andersson2020flip", "article", "FLIP",
            "Pontus Andersson and Jim Nilsson and Tomas Akenine-Möller and Magnus Oskarsson and Kalle Åström and "
            "Mark D. Fairchild",
            "FLIP: A Difference Evaluator for Alternating Images",
            2020, "Proceedings of the ACM on Computer Graphics and Interactive Techniques", doi="10.1145/3406183",
        ),
        Reference(
            "mantiuk2024colorvideovdp", "article", "ColorVideoVDP",
            "Rafał K. Mantiuk and Param Hanji and Maliha Ashraf and Yuta Asano and Alexandre Chapiro",
            "ColorVideoVDP: A Visual Difference Predictor for Image, Video and Display Distortions",
            2024, "ACM Transactions on Graphics", "2401.11485",
        ),
        Reference(
            "krizhevsky2014one", "misc", "AlexNet", "Alex Krizhevsky",
            "One Weird Trick for Parallelizing Convolutional Neural Networks", 2014, arxiv="1404.5997",
        ),
        Reference(
            "simonyan2015very", "inproceedings", "VGG16", "Karen Simonyan and Andrew Zisserman",
            "Very Deep Convolutional Networks for Large-Scale Image Recognition",
            2015, "International Conference on Learning Representations (ICLR)", "1409.1556",
        ),
        Reference(
            "iandola2016squeezenet", "misc", "SqueezeNet",
            "Forrest N. Iandola and Song Han and Matthew W. Moskewicz and Khalid Ashraf and William J. Dally and "
            "Kurt Keutzer",
            "SqueezeNet: AlexNet-level Accuracy with 50x Fewer Parameters and <0.5MB Model Size", 2016, arxiv="1602.07360",
        ),
        Reference(
            "he2016deep", "inproceedings", "ResNet",
            "Kaiming He and Xiangyu Zhang and Shaoqing Ren and Jian Sun",
            "Deep Residual Learning for Image Recognition",
            2016, "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)", "1512.03385",
        ),
        Reference(
            "croce2025adversarially", "inproceedings", "R-CLIP",
            "Francesco Croce and Christian Schlarmann and Naman Deep Singh and Matthias Hein",
            "Adversarially Robust CLIP Models Can Induce Better (Robust) Perceptual Metrics",
            2025, "IEEE Conference on Secure and Trustworthy Machine Learning (SaTML)", "2502.11725",
        ),
        Reference(
            "fu2023dreamsim", "inproceedings", "DreamSim and NIGHTS",
            "Stephanie Fu and Netanel Tamir and Shobhita Sundaram and Lucy Chai and Richard Zhang and Tali Dekel and "
            "Phillip Isola",
            "DreamSim: Learning New Dimensions of Human Visual Similarity using Synthetic Data",
            2023, "Advances in Neural Information Processing Systems (NeurIPS)", "2306.09344",
        ),
    )
}  # fmt: skip


def reference(key: str) -> Reference:
    """The paper of that key; ValueError listing the keys if there is none."""
    if not isinstance(key, str) or key not in REFERENCES:
        raise ValueError(f"Unknown paper {key!r}; the papers are {', '.join(REFERENCES)}.")
    return REFERENCES[key]


def bibtex(keys: Iterable[str]) -> str:
    """The BibTeX entries of papers, each once, in their order. ValueError as from `reference`."""
    papers = {paper.key: paper for paper in map(reference, keys)}
    return "\n\n".join(paper.bibtex for paper in papers.values()) + "\n"
