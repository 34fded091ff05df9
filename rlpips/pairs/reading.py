"""From what a user gives to a list of matched pairs, and a list of what could not be matched, each with its reason.

Two folders, two zips or two files of arrays, originals first; or one folder, zip, file of arrays or list of files that holds
both; or a CSV with two columns of names. Nothing is measured here, and pictures in files are not read yet.
"""

import csv
import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from rlpips.pairs import arrays, matching, values
from rlpips.pairs.arrays import Stack
from rlpips.pairs.gathering import Collection, open_side
from rlpips.pairs.inputs import Inputs, Pair, Problem
from rlpips.pairs.sources import ArraySource, FileSource, Source


def read(
    first: Any, second: Any = None, listed: str | os.PathLike | None = None, ranges: Sequence[str] | None = None
) -> Inputs:
    """Match what is in `first` (originals, or both kinds) with what is in `second` (attacked pictures).

    first, second  a path: a folder, a zip, a picture, a CSV (alone), or a file of arrays; a tensor or an array of pictures; a PIL image;
                   or a list of pictures, paired by place with another list, and by name if alone
    listed         a CSV with two columns of names, originals first, which decides what belongs together
    ranges         the name of the range of values of arrays (`rlpips.pairs.values`), or two, for originals and attacked pictures;
                   None recognises it

    ValueError, with a sentence, where nothing can be paired or the range of an array's values is not clear.
    """
    for name in ranges or ():
        if name not in values.RANGES:
            raise ValueError(f"The range of values must be one of {', '.join(values.RANGES)}; got {name!r}.")
    if second is None and _is_path(first, ".csv"):
        return _checked(_read_listed(_rows_of(Path(first)), _Beside(Path(first).absolute().parent)), [Path(first).name])
    sides = [open_side(each, name) for each, name in ((first, "originals"), (second, "attacked")) if each is not None]
    if any(isinstance(side, dict) for side in sides):
        return _read_arrays(sides, ranges)
    collections = [side for side in sides if isinstance(side, Collection)]
    if listed is not None:
        everything = {name: source for side in collections for name, source in side.sources.items()}
        inputs = _read_listed(_rows_of(Path(listed)), everything)
    elif len(collections) == 1:
        inputs = _matched(matching.match_one(list(collections[0].sources)), *2 * [collections[0].sources])
    elif all(side.order is not None for side in collections):
        inputs = _by_place(*collections)
    else:
        names = [list(side.sources) for side in collections]
        inputs = _matched(matching.match_two(*names), *(side.sources for side in collections))
        if (matching.role_of(names[0]), matching.role_of(names[1])) == ("attacked", "clean"):
            inputs.notes.append(
                "By their names, the first pictures are the attacked ones: are the two sides exchanged?"
            )
    inputs.problems += [problem for side in collections for problem in side.problems]
    return _checked(inputs, [side.label for side in collections])


def _read_arrays(sides: Sequence[Collection | dict[str, Stack]], ranges: Sequence[str] | None) -> Inputs:
    stacks = [side for side in sides if isinstance(side, dict)]
    if len(stacks) != len(sides):
        raise ValueError("Arrays are paired with arrays, and picture files with picture files; got one of each.")
    inputs = Inputs()
    if len(stacks) == 1:
        clean, attacked, note = arrays.split(_file_of(stacks[0]), stacks[0])
        inputs.notes.append(note)
    else:
        clean, attacked = _only(stacks[0], "clean"), [_only(stacks[1], "attacked")]
    spans = clean.span(), [stack.span() for stack in attacked]
    for stack, span in zip(attacked, spans[1], strict=True):
        if ranges:
            clean.range, stack.range = ranges[0], ranges[-1]
        else:
            try:
                clean.range, stack.range = values.recognise_both(spans[0], span)
            except ValueError as error:
                raise ValueError(f"{clean.name} or {stack.name} {error}.") from error
        inputs.notes += [_said(clean, spans[0])] if stack is attacked[0] else []
        inputs.notes.append(_said(stack, span))
        for index, both in enumerate(zip_longest(range(len(clean)), range(len(stack)))):
            if None in both:
                longer = stack if both[0] is None else clean
                other = clean if both[0] is None else stack
                inputs.problems.append(
                    Problem(
                        f"{longer.name}[{index}]",
                        f"{other.name} has {len(other)} pictures and {longer.name} {len(longer)}.",
                    )
                )
            else:
                inputs.pairs.append(Pair(ArraySource(clean, index), ArraySource(stack, index)))
    return _checked(inputs, [clean.name, attacked[0].name])


def _only(stacks: dict[str, Stack], role: str) -> Stack:
    """The one stack of a file that has only originals or only attacked pictures."""
    some = [stack for key, stack in stacks.items() if matching.read_name(key).role == role] or list(stacks.values())
    if len(some) > 1:
        raise ValueError(f"{_file_of(stacks)} holds {', '.join(stacks)}; which of them is meant? Give a file with one.")
    return some[0]


def _file_of(stacks: dict[str, Stack]) -> str:
    return next(iter(stacks.values())).name.partition("[")[0]


def _said(stack: Stack, span: values.Span) -> str:
    outside = values.clipped(stack.range, span)
    height, width = stack.size
    return (
        f"{stack.name}: {len(stack)} pictures of {width}×{height}, {span.text}, read as {values.RANGES[stack.range].title}"
        f"{'; ' + outside if outside else ''}."
    )


def _by_place(clean: Collection, attacked: Collection) -> Inputs:
    names = clean.order or [], attacked.order or []
    if len(names[0]) != len(names[1]):
        raise ValueError(f"Two lists are paired by place; got {len(names[0])} and {len(names[1])} pictures.")
    inputs = Inputs()
    for first, second in zip(*names, strict=True):
        x, y = clean.sources.get(first), attacked.sources.get(second)
        if x and y:
            inputs.pairs.append(Pair(x, y))
        elif x or y:
            name, missing = (first, second) if x else (second, first)
            inputs.problems.append(Problem(name, f"What it belongs to, {missing}, is no picture that is read here."))
    return inputs


def _matched(match: matching.Match, clean: dict[str, Source], attacked: dict[str, Source]) -> Inputs:
    return Inputs(
        [Pair(clean[first], attacked[second]) for first, second in match.pairs],
        [Problem(name, reason) for name, reason in match.problems.items()],
    )


def _rows_of(path: Path) -> list[tuple[str, str]]:
    """The first two cells of every line of a CSV, TSV or the like; columns that their heading calls clean and attacked, where there
    are some."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read as a text in UTF-8.") from error
    line = text.partition("\n")[0]
    rows = [row for row in csv.reader(text.splitlines(), delimiter=max(",;\t", key=line.count)) if any(row)]
    if not rows or min(map(len, rows)) < 2:
        raise ValueError(f"{path.name} needs two columns of names on every line: originals and attacked pictures.")
    roles = [matching.read_name(cell).role for cell in rows[0]]
    first, second = 0, 1
    if not any(PurePosixPath(cell).suffix for cell in rows[0]):  # a heading
        if "clean" in roles and "attacked" in roles:
            first, second = roles.index("clean"), roles.index("attacked")
        rows = rows[1:]
    return [(row[first].strip(), row[second].strip()) for row in rows]


class _Beside(dict[str, Source]):
    """The files of a folder, by paths within it."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder

    def get(self, name: str, default: Any = None) -> Any:  # type: ignore[override]
        return FileSource(name, self._folder) if (self._folder / name).is_file() else default


def _read_listed(rows: Sequence[tuple[str, str]], sources: dict[str, Source]) -> Inputs:
    inputs = Inputs()
    for names in rows:
        both = [sources.get(name.replace("\\", "/")) for name in names]
        if None in both:
            missing = names[both.index(None)]
            inputs.problems.append(Problem(names[1], f"There is no picture called {missing}."))
        else:
            inputs.pairs.append(Pair(*both))  # type: ignore[arg-type]
    return inputs


def _checked(inputs: Inputs, labels: Sequence[str]) -> Inputs:
    inputs.label = labels[-1]
    if not inputs.pairs:
        first = f" ({inputs.problems[0].name}: {inputs.problems[0].reason})" if inputs.problems else ""
        raise ValueError(
            f"No two pictures in {' and '.join(labels)} belong together{first}. Names match without endings like _adv and .orig or folders like "
            "clean and adv; a CSV with two columns of names says it otherwise."
        )
    return inputs


def _is_path(given: Any, ending: str) -> bool:
    return isinstance(given, (str, os.PathLike)) and Path(given).suffix.lower() == ending and Path(given).is_file()
