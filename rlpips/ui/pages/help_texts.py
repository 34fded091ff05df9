"""What the small "?" beside a control, or a part of the viewer, says: one or two sentences, and a link into How it works."""

from typing import NamedTuple


class Help(NamedTuple):
    """What a term means. `at` is the CSS selector of the place, `more` the name of a heading in an address (`#how-the-attack`)."""

    at: str
    name: str
    text: str
    more: str


TEXTS = (
    Help(
        "#objective", "Attack",
        "Push away makes each metric say that the picture differs from the original. Pull toward starts from a different picture, and "
        "makes each metric say that the two are alike.",
        "the-attack",
    ),
    Help(
        "#norm", "Norm",
        "How the size of the change is measured. l∞ bounds every value of every pixel by itself; l2 bounds the change as a whole, so that "
        "it may be large in few places.",
        "the-attack",
    ),
    Help(
        "#eps", "eps",
        "How much the attack may change the picture, its budget. Under l∞, 4/255 means: no value moves by more than 4 of 255 levels.",
        "the-attack",
    ),
    Help(
        "#candidate", "What is pushed",
        "The picture that the attack changes. The distances are always measured to the picture chosen above.",
        "the-attack",
    ),
    Help(
        "#metric-0", "Against",
        "One copy of the picture is pushed against each of the two metrics, and both metrics measure both results. R-LPIPS official is the "
        "paper authors' own checkpoint, which is downloaded when it is first used; the other R-LPIPS were trained for this page.",
        "the-heads-of-r-lpips-used-here",
    ),
    Help(
        "#viewer .rv-curves .rv-head", "noise",
        "The control: a random change of single pixels within the same budget, never pushed. What it does such noise does; the rest only an attack does.",
        "what-you-are-looking-at",
    ),
    Help(
        "#viewer .rv-field:has(> .rv-ruler)", "as far as",
        "A distance has no unit. These words say which strength of a common distortion, of this same picture, the metric finds equally far.",
        "what-to-look-at",
    ),
)  # fmt: skip


def for_browser() -> list[dict[str, str]]:
    """The texts as assets/viewer/help.js takes them."""
    return [{**help._asdict(), "more": f"#how-{help.more}"} for help in TEXTS]
