"""The folders of the project. No other module spells out a path."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
DOCS = ASSETS / "docs"
SAMPLES = ASSETS / "samples"
CIFAR10_SAMPLES = SAMPLES / "cifar10"
VIEWER = ASSETS / "viewer"  # the page's JavaScript, style sheets and markup
PAIRS = ASSETS / "pairs"  # the report of `python -m rlpips.pairs`
WEIGHTS = ASSETS / "weights"  # with a card (JSON) beside each weights file
RESULTS = WEIGHTS / "classifiers.json"  # robust accuracy of classifiers, by `python -m rlpips.evaluate classifiers`
STUDY = WEIGHTS / "study.json"  # what matters in the training, by `python -m rlpips.study`
PRECOMPUTED = ROOT / "precomputed"  # traces and questions that the page opens with, by `python -m rlpips.precompute`
PRECOMPUTED_CLASSIFIER = PRECOMPUTED / "classifier"
QUESTIONS = PRECOMPUTED / "judge" / "questions.zip"
