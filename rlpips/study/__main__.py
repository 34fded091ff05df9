"""`python -m rlpips.study --images FOLDER --out DIR`: writes DIR/study.json and DIR/study.md."""

import argparse
import json
import sys
from pathlib import Path

from rlpips.device import pick_device
from rlpips.parallel import is_first, join, leave
from rlpips.progress import Progress
from rlpips.study.compare import HELD_OUT, study
from rlpips.study.report import table
from rlpips.study.variants import SHORT, VARIANTS
from rlpips.training.data import read_sources
from rlpips.training.settings import Settings, add_settings
from rlpips.zoo import cards


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m rlpips.study", description="Compare recipes.", allow_abbrev=False)
    parser.usage = "%(prog)s --images FOLDER --out DIR [--only NAME …] [options]; --help names them"
    parser.add_argument("--images", required=True, help="folder of photographs; every fifth is held out")
    parser.add_argument("--out", required=True, type=Path, help="folder for study.json and study.md")
    parser.add_argument("--only", nargs="+", help="names of variants", choices=[each.name for each in VARIANTS])
    parser.add_argument("--device", default="cpu")
    add_settings(parser, SHORT)
    chosen = vars(parser.parse_args(arguments))
    images, out, only, device = (chosen.pop(name) for name in ("images", "out", "only", "device"))
    try:
        settings = Settings(**chosen)
        if settings.norm != "linf":
            raise ValueError(f"The study is of the l_inf ball; got norm {settings.norm!r}.")
        device = join(pick_device(device))
        out.mkdir(parents=True, exist_ok=True)
        file = out / "study.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else None
        sources, progress = read_sources(images, None, settings), Progress()
        for report in study(settings, sources, HELD_OUT, only, device, known, progress):
            if is_first():
                file.write_text(cards.format_json(report), "utf-8")
                (out / "study.md").write_text(table(report) + "\n", "utf-8")
    except (ValueError, OSError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        sys.exit(1 if isinstance(error, FloatingPointError) else 2)
    finally:
        leave()


if __name__ == "__main__":
    main()
