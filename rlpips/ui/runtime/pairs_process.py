"""A process that matches and reads a visitor's pairs: `python -m rlpips.ui.runtime.pairs_process`, which `pair_files` starts and ends.

The first line of its input is the JSON of what was uploaded, {"first", "second": paths, "values", "swap", "ordered", "most"}; it answers {"pairs",
"more", "problems", "notes", "label"}. Every further line asks for a picture, {"pair", "attacked", "side"}; it answers {"shape", "dtype",
"size", "notes"}, and then the bytes of the pixels. To either it may answer {"refusal"}.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rlpips.pairs import arrays, matching
from rlpips.pairs.inputs import Inputs, Problem, printable
from rlpips.pairs.reading import read

_MEMORY = 1_500_000_000  # bytes of addresses, several times what the largest picture takes
_MEMORY_OF_TORCH = 6_000_000_000  # which takes 3 GB of them as soon as it is loaded
_TORCH = (".pt", ".pth", ".safetensors")
_NICE = 10  # of the two, the run that somebody watches goes first
_TABLES = (".csv", ".tsv")
_MOST_PROBLEMS, _MOST_NOTES = 100, 20  # that are told of
_LONGEST, _LONGEST_SENTENCE = 200, 600  # letters of a name, of a sentence: files may be made to have long ones


def main() -> None:
    """Answer until the input ends."""
    with suppress(AttributeError, OSError):
        os.nice(_NICE)
    inputs = Inputs()
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin.buffer:
            request, pixels, answer = json.loads(line), b"", {}
            try:
                if "pair" in request:
                    answer, pixels = _picture(inputs, **request)
                else:
                    _bound([*request["first"], *request["second"]])
                    files = request["first"], request["second"]
                    if request["ordered"]:
                        inputs = read_ordered(*files, Path(folder))
                    else:
                        inputs = read_files(*files, request["values"], Path(folder))
                    inputs = inputs.swapped() if request["swap"] else inputs
                    answer = _match(inputs, request["most"])
            except ValueError as error:
                answer = {"refusal": _sentence(str(error))}
            except OSError as error:
                answer = {"refusal": f"A file cannot be opened ({error.strerror}). Upload the pictures again."}
            except MemoryError:
                answer = {"refusal": "These files take too much memory to read."}
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
            sys.stdout.buffer.flush()


def read_files(first: Sequence[str], second: Sequence[str], values: str | None, folder: Path) -> Inputs:
    """Match uploaded files: pictures, zips, arrays; a CSV among them says what belongs together, by names within the other files alone.

    `values` is the range of values in arrays, None to recognise it; `folder` an empty one. ValueError as from `rlpips.pairs.reading.read`.
    """
    sides = [[Path(path) for path in side if Path(path).suffix.lower() not in _TABLES] for side in (first, second)]
    tables = [path for path in [*first, *second] if Path(path).suffix.lower() in _TABLES]
    if not any(sides):
        raise ValueError(
            "Upload the pictures, too: a CSV alone holds only their names." if tables else "Choose files first."
        )
    if len(tables) > 1:
        raise ValueError(f"One CSV says what belongs together; got {len(tables)}.")
    if len(sides[0]) == 2 and not sides[1] and all(map(_holds_many, sides[0])):
        sides = [[path] for path in _clean_first(sides[0])]
    given = [_together(side, folder / name) for side, name in zip(sides, ("originals", "attacked")) if side]
    return read(*given, listed=tables[0] if tables else None, ranges=(values,) if values else None)


def read_ordered(first: Sequence[str], second: Sequence[str], folder: Path) -> Inputs:
    """Two lists of pictures in files, paired by place, under their own names; `folder` is an empty one. ValueError as from
    `rlpips.pairs.reading.read`."""
    sides = [_side_by_side(side, folder / name) for side, name in ((first, "references"), (second, "candidates"))]
    return read(*sides)


def _side_by_side(side: Sequence[str], folder: Path) -> list[Path]:
    """Pictures in a folder under their own names, or, where these are not distinct, each in a folder with its number."""
    names = [Path(path).name for path in side]
    links = [folder / name if len(set(names)) == len(names) else folder / str(n) / name for n, name in enumerate(names)]
    for link, path in zip(links, side, strict=True):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(path).absolute())
    return links


def _holds_many(path: Path) -> bool:
    return path.suffix.lower() in (".zip", *arrays.ENDINGS)


def _clean_first(two: list[Path]) -> list[Path]:
    """Two zips or files of arrays, the originals first, as far as their names say which these are."""
    roles = [matching.role_of([path.name]) for path in two]
    return two[::-1] if roles[0] == "attacked" or roles[1] == "clean" else two


def _together(side: list[Path], folder: Path) -> Path:
    """One path for what was uploaded to one field: pictures are put into a folder, under their own names."""
    if len(side) == 1:
        return side[0]
    for path in side:
        if _holds_many(path):
            raise ValueError(f"{path.name} holds many pictures; choose it alone, or pictures alone, in one field.")
    folder.mkdir()
    for path in side:
        try:
            (folder / path.name).symlink_to(path.absolute())
        except FileExistsError:
            raise ValueError(f"Two files of one field are called {path.name}.") from None
    return folder


def _match(inputs: Inputs, most: int) -> dict[str, Any]:
    more = len(inputs.pairs) - most
    return {
        "pairs": [(_name(pair.clean.name), _name(pair.attacked.name)) for pair in inputs.pairs[:most]],
        "more": max(0, more),
        "problems": [(_name(each.name), _sentence(each.reason)) for each in _few(inputs.problems)],
        "notes": [_sentence(note) for note in inputs.notes[:_MOST_NOTES]],
        "label": _name(inputs.label),
    }


def _few(problems: list[Problem]) -> list[Problem]:
    more = len(problems) - _MOST_PROBLEMS
    return problems[:_MOST_PROBLEMS] + [Problem(f"{more} more", "These are not listed.")] * (more > 0)


def _name(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _LONGEST else "…" + name[-_LONGEST:]


def _sentence(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_SENTENCE else text[:_LONGEST_SENTENCE] + "…"


def _picture(inputs: Inputs, pair: int, attacked: bool, side: int) -> tuple[dict[str, Any], bytes]:
    both = inputs.pairs[pair]
    loaded = (both.attacked if attacked else both.clean).load(side)
    pixels = loaded.pixels
    answer = {"shape": pixels.shape, "dtype": str(pixels.dtype), "size": loaded.size, "notes": loaded.notes}
    return answer, pixels.tobytes()


def _bound(paths: Sequence[str]) -> None:
    """Limit this process, where the system can."""
    most = _MEMORY_OF_TORCH if any(Path(path).suffix.lower() in _TORCH for path in paths) else _MEMORY
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
