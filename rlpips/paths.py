"""The folders of the project. No other module spells out a path."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
DOCS = ASSETS / "docs"
SAMPLES = ASSETS / "samples"
CIFAR10_SAMPLES = SAMPLES / "cifar10"
VIEWER = ASSETS / "viewer"  # the page's JavaScript, style sheets and markup
STORY = ASSETS / "story"  # the lesson: its scenes, scripts and style sheet
TEXT = ASSETS / "text"  # the page in other languages, a folder for each
PAIRS = ASSETS / "pairs"  # the report of `python -m rlpips.pairs`
WEIGHTS = ASSETS / "weights"  # with a card (JSON) beside each weights file
RESULTS = WEIGHTS / "classifiers.json"  # robust accuracy of classifiers, by `python -m rlpips.evaluate classifiers`
STUDY = WEIGHTS / "study.json"  # what matters in the training, by `python -m rlpips.study`
DIAL = WEIGHTS / "dial.json"  # metrics between LPIPS and robust ones, by `python -m rlpips.evaluate dial`
TRANSFER = WEIGHTS / "transfer.json"  # attacks on one metric, judged by others, by `python -m rlpips.evaluate transfer`
PRECOMPUTED = ROOT / "precomputed"  # traces and questions that the page opens with, by `python -m rlpips.precompute`
OPENING = "astronaut-away-linf-4.zip"  # of them, what the page shows first
PRECOMPUTED_STORY = PRECOMPUTED / "story"  # what the lesson shows beside the duels of the gallery
PRECOMPUTED_CLASSIFIER = PRECOMPUTED / "classifier"
SCORES = PRECOMPUTED / "scores.json"  # of the known metrics on the samples, beside which a visitor's own is shown
JUDGED = PRECOMPUTED / "judged.json"  # what ColorVideoVDP chose on the samples, with which metrics are compared
PAIR = PRECOMPUTED / "pair" / "astronaut.zip"  # what is measured of a picture before and after an attack on LPIPS
PAIRS_EXAMPLE = PRECOMPUTED / "pairs.json"  # what is measured of the recorded duels, as many pairs
QUESTIONS = PRECOMPUTED / "judge" / "questions.zip"
