"""The folders of the project: the only place that knows where they are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
DOCS = ASSETS / "docs"
SAMPLES = ASSETS / "samples"
CIFAR10_SAMPLES = SAMPLES / "cifar10"
VIEWER = ASSETS / "viewer"  # the page's JavaScript, style sheets and markup
WEIGHTS = ASSETS / "weights"  # and the cards beside them
RESULTS = (
    WEIGHTS / "classifiers.json"
)  # how accurate classifiers stay under attack, by `python -m rlpips.evaluate classifiers`
STUDY = WEIGHTS / "study.json"  # what matters in the training, by `python -m rlpips.study`
PRECOMPUTED = ROOT / "precomputed"  # what the page opens with, by `python -m rlpips.precompute`
PRECOMPUTED_CLASSIFIER = PRECOMPUTED / "classifier"
QUESTIONS = PRECOMPUTED / "judge" / "questions.zip"
