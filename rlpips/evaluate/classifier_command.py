"""The command "classifiers" of `python -m rlpips.evaluate`: attacks on classifiers, bounded by metrics."""

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from typing import Any

from rlpips.classifiers import cifar10
from rlpips.classifiers.models import load_classifier
from rlpips.evaluate import classifier_tables
from rlpips.evaluate.report import Report, read_earlier
from rlpips.evaluate.robust_accuracy import robust_accuracy
from rlpips.metrics.lpips import load_metric
from rlpips.progress import ProgressCallback
from rlpips.zoo.catalog import PAIR

_NAME = "classifiers"  # of the files


def attack_classifiers(options: Namespace, progress: ProgressCallback) -> Iterator[Report]:
    """Check the options and load pictures, classifiers and metrics; return an iterator that yields a report after every attack
    on every classifier. ValueError or OSError for options that cannot be met."""
    names = options.classifiers
    if len(set(names)) < len(names):
        raise ValueError(f"classifiers must be named once each; got {', '.join(names)}.")
    test_pictures = cifar10.read("test", options.images)
    pictures = test_pictures.subset(options.pictures, options.seed)
    for name in names:
        load_classifier(name)  # a missing file is an error at the start
    where = " in a folder of picture files" if options.images else ""
    how = {
        "command": options.command_line,
        "data": f"drawn from {len(test_pictures)} test pictures of CIFAR-10{where}",
    }
    results = robust_accuracy(
        names,
        partial(load_classifier, device=options.device),
        pictures,
        {name: load_metric(name, "alex", options.device) for name in PAIR},
        how,
        _earlier_results(options),
        progress,
        options.steps,
        options.bound,
        options.seed,
    )
    return (Report(_NAME, result, _blocks(result)) for result in results)


def _earlier_results(options: Namespace) -> dict[str, Any] | None:
    """The results that an earlier run left in the folder for results."""
    if options.out is None:
        return None
    return read_earlier(options.out / f"{_NAME}.json", "how", "bounds", "classifiers")


def _blocks(result: dict[str, Any]) -> Iterator[str]:
    yield classifier_tables.accuracy_table(result)
    yield f"## Do attacks bounded by R-LPIPS leave less?\n\n{classifier_tables.findings_table(result)}"
    for name in result["classifiers"]:
        yield f"## {classifier_tables.classifier_title(name)}: what the attacks cost\n\n{classifier_tables.cost_table(result, name)}"
    yield classifier_tables.match_table(result)
    yield f"## What the code of R-LPIPS's authors bounds\n\n{classifier_tables.authors_table(result)}"
    yield classifier_tables.classifier_conditions(result)
