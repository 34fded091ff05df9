"""Which attacked picture belongs to which original, by their names.

Names are paths within a folder or archive, with "/". Two names match if they are equal without their endings and without the
words that say what a picture is: `clean/cat.png` and `adv/cat.png`, `cat.orig.png` and `cat_adv.png`, `07/x.png` and `07/x_adv.png`.
What follows such a word may be an attack's settings: `cat_adv_eps8.png` belongs to `cat.png`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["clean", "attacked", ""]

CLEAN = frozenset(
    [
        "clean",
        "orig",
        "original",
        "originals",
        "org",
        "ref",
        "reference",
        "references",
        "benign",
        "natural",
        "nat",
        "source",
        "src",
        "before",
        "input",
        "inputs",
    ]
)
ATTACKED = frozenset(
    [
        "adv",
        "advs",
        "adversarial",
        "adversarials",
        "adversary",
        "attacked",
        "attack",
        "perturbed",
        "pert",
        "after",
        "distorted",
        "changed",
        "candidate",
        "candidates",
    ]
)
_BETWEEN = re.compile(r"[\s._\-()\[\]]+")


@dataclass
class Match:
    """Pairs of names (original, attacked), sorted; and for every other name the reason why it has no partner."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Name:
    """What a name says: whether it calls the picture clean or attacked, what is left of it without that, which two pictures of a
    pair share, and the same without what follows."""

    role: Role
    key: str
    start: str


def read_name(name: str) -> Name:
    """What a name says. A folder that says what its pictures are is no part of the key."""
    *folders, file = name.split("/")
    roles: set[Role] = set()
    kept = []
    for folder in folders:
        found = {_role(word) for word in _words(folder)} - {""}
        roles |= found
        if not found:
            kept.append(folder.casefold())
    words = _words(file.rpartition(".")[0] or file)
    places = [place for place, word in enumerate(words) if _role(word)]
    roles |= {_role(words[place]) for place in places}
    key = [word for place, word in enumerate(words) if place not in places]
    start = words[: places[0]] if places and places[0] else key
    role: Role = "attacked" if "attacked" in roles else "clean" if "clean" in roles else ""
    return Name(role, "/".join([*kept, " ".join(key)]), "/".join([*kept, " ".join(start)]))


def role_of(names: Iterable[str]) -> Role:
    """What all of these names say that they are; "" if they do not agree."""
    roles = {read_name(name).role for name in names}
    return roles.pop() if len(roles) == 1 else ""


def match_two(clean: Sequence[str], attacked: Sequence[str]) -> Match:
    """Match two collections. Several attacked pictures may belong to one original."""
    if len(clean) == len(attacked) == 1:
        return Match([(clean[0], attacked[0])])
    match, exact = Match(), set(clean)
    whole, files = _index(clean), _index(clean, file_only=True)
    theirs = _index(attacked, file_only=True)
    for name in attacked:
        said = read_name(name)
        found = [name] if name in exact else whole.get(said.key) or whole.get(said.start) or []
        file = _file(said.key)
        if not found and len(theirs[file]) == 1:  # folders of other names
            found = files.get(file, [])
        _add(match, name, found)
    return _finished(match, clean)


def match_one(names: Sequence[str]) -> Match:
    """Match one collection that holds both; what the names say tells originals from attacked pictures."""
    match = Match()
    said = {name: read_name(name) for name in names}
    attacked = [name for name in names if said[name].role == "attacked"]
    clean = _index([name for name in names if said[name].role == "clean"])
    silent = _index([name for name in names if not said[name].role])  # originals, beside one that says it is attacked
    for name in attacked:
        key, start = said[name].key, said[name].start
        _add(match, name, clean.get(key) or silent.get(key) or clean.get(start) or silent.get(start) or [])
    return _finished(match, [name for name in names if said[name].role != "attacked"])


def _add(match: Match, attacked: str, found: Sequence[str]) -> None:
    if len(found) == 1:
        match.pairs.append((found[0], attacked))
    elif found:
        match.problems[attacked] = (
            f"Several originals match it: {', '.join(found[:3])}{', …' if len(found) > 3 else ''}."
        )
    else:
        match.problems[attacked] = "No original matches its name."


def _finished(match: Match, clean: Iterable[str]) -> Match:
    used = {first for first, _ in match.pairs}
    match.problems |= {name: "No attacked picture matches its name." for name in clean if name not in used}
    match.pairs.sort()
    return match


def _index(names: Iterable[str], file_only: bool = False) -> dict[str, list[str]]:
    """The names of each key, or of each key's last part."""
    index = defaultdict(list)
    for name in names:
        key = read_name(name).key
        index[_file(key) if file_only else key].append(name)
    return index


def _file(key: str) -> str:
    return key.rpartition("/")[2]


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text.casefold()) if word]


def _role(word: str) -> Role:
    word = word.rstrip("0123456789")  # adv1, adv2
    return "attacked" if word in ATTACKED else "clean" if word in CLEAN else ""
