"""`python -m rlpips.study --images FOLDER --out DIR` compares ways to train heads and writes DIR/study.json and DIR/study.md."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rlpips.device import pick_device
from rlpips.evaluate.report import Report, read_earlier
from rlpips.parallel import is_first, join
from rlpips.progress import Progress
from rlpips.study.compare import HELD_OUT, study
from rlpips.study.report import table
from rlpips.study.variants import SHORT, VARIANTS
from rlpips.training.command import exit_on_errors
from rlpips.training.data import read_sources
from rlpips.training.settings import Settings, add_settings


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rlpips.study", description="Compare ways to train heads.", allow_abbrev=False
    )
    parser.usage = "%(prog)s --images FOLDER --out DIR [--only NAME …] [options]; --help lists them"
    parser.add_argument("--images", required=True, help="folder of photographs; every fifth is held out")
    parser.add_argument("--out", required=True, type=Path, help="folder for study.json and study.md")
    parser.add_argument("--only", nargs="+", help="names of variants", choices=[variant.name for variant in VARIANTS])
    parser.add_argument("--device", default="cpu")
    add_settings(parser, SHORT)
    options = vars(parser.parse_args(arguments))
    images, out, only, device = (options.pop(name) for name in ("images", "out", "only", "device"))

    with exit_on_errors(lambda: "the same command continues after the last finished variant"):
        settings = Settings(**options)
        if settings.norm != "linf":
            raise ValueError(f"The study is only of the l_inf ball; got norm {settings.norm!r}.")
        device = join(pick_device(device))
        out.mkdir(parents=True, exist_ok=True)
        earlier = read_earlier(out / "study.json", "how", "rows")
        sources = read_sources(images, None, settings)
        for report in study(settings, sources, HELD_OUT, only, device, earlier, Progress()):
            if is_first():
                Report("study", report, [table(report)]).store(out)


if __name__ == "__main__":
    main()
