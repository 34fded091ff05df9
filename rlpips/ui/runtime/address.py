"""Addresses: `#page?key=value&…`, the part after the # of the page's address, holds what the page shows.

A page has a `Key` for each control. What a viewer shows of a run has its keys in assets/viewer/view_keys.js, and what the frame of the page
leaves out in assets/viewer/address_text.js. A value that equals the default is left out. Links come from strangers: what cannot
be read is left out too, and a sentence says so.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

LONGEST = 60  # characters of a value, and of an unknown key in a sentence
MOST_FAULTS = 5  # that a sentence lists
_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True)
class Choice:
    """One of several names."""

    default: str
    names: Collection[str]

    def read(self, text: str) -> str:
        """The name that the text is; ValueError with what is expected."""
        if text not in self.names:
            raise ValueError(f"one of {', '.join(self.names)}")
        return text


@dataclass(frozen=True)
class Number:
    """A number within bounds, both included."""

    default: float
    low: float
    high: float
    whole: bool = False

    def read(self, text: str) -> float:
        """The number that the text is, an int if it is whole; ValueError with what is expected."""
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not self.low <= value <= self.high or (self.whole and not value.is_integer()):
            raise ValueError(f"a {'whole ' * self.whole}number from {self.low:.16g} to {self.high:.16g}")
        return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class Text:
    """Nothing, or a text of a pattern, which `says` describes."""

    pattern: str
    says: str
    default: str = ""

    def read(self, text: str) -> str:
        """The text; ValueError with what is expected."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(self.says)
        return text


@dataclass(frozen=True)
class Choices:
    """Some of several names, at least one and each once, in an order that matters."""

    default: tuple[str, ...]
    names: Collection[str]

    def read(self, text: str) -> tuple[str, ...]:
        """The names that the text lists; ValueError with what is expected."""
        found = tuple(text.split(","))
        if not set(found) <= set(self.names) or len(set(found)) < len(found):
            raise ValueError(f"some of {', '.join(self.names)}, each once, with commas between them")
        return found


Rule = Choice | Choices | Number | Text


@dataclass(frozen=True)
class Key:
    """A control of a page as an address names it.

    control  the elem_id of the control
    rules    the rule of its value; or one for each value of the key `by`, which stands before this one
    press    the elem_id of a button that does what the key says: an address that has the key presses it
    """

    name: str
    control: str
    rules: Rule | Mapping[str, Rule]
    by: str = ""
    press: str = ""

    def rule(self, values: Mapping[str, Any]) -> Rule:
        """The rule beside the values of the keys before this one."""
        return self.rules[values[self.by]] if isinstance(self.rules, Mapping) else self.rules


def read(keys: Iterable[Key], texts: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(a value for every key, what is wrong with the texts): a key without a text, or with a bad one, gets its default."""
    values: dict[str, Any] = {}
    faults = []
    for key in keys:
        rule = key.rule(values)
        values[key.name] = rule.default
        text = texts.get(key.name)
        if text is None:
            continue
        try:
            values[key.name] = rule.read(text if isinstance(text, str) else "")
        except ValueError as error:
            faults.append(f"{key.name} is {error}, not {_short(text)}")
    faults += [f"there is no key {_short(name)}" for name in texts if name not in values]
    return values, faults


def write(keys: Iterable[Key], values: Mapping[str, Any]) -> dict[str, str]:
    """The texts that `read` makes these values of, without the defaults."""
    texts = {}
    for key in keys:
        if values[key.name] != key.rule(values).default:
            texts[key.name] = _text(values[key.name])
    return texts


def for_browser(keys: Iterable[Key]) -> list[dict[str, Any]]:
    """The keys as assets/viewer/address_text.js takes them: name, control, and the text of the default, one for each value of `by`."""
    return [
        {
            "name": key.name,
            "control": key.control,
            "by": key.by,
            "press": key.press,
            "default": {value: _text(rule.default) for value, rule in key.rules.items()}
            if isinstance(key.rules, Mapping)
            else _text(key.rules.default),
        }
        for key in keys
    ]


def texts_of(hash: Any) -> dict[str, str]:
    """The keys and texts of an address's part after the #, which may be anything."""
    query = str(hash)[:2000].partition("?")[2]
    return dict(parse_qsl(query, max_num_fields=100)) if query.count("&") < 100 else {}


def sentence(faults: Iterable[Any]) -> str:
    """What is wrong with an address, as a sentence; empty if nothing is. The faults may be a stranger's."""
    listed = [_short(fault, 3 * LONGEST) for fault in faults if isinstance(fault, str)]
    if not listed:
        return ""
    more = f"; and {len(listed) - MOST_FAULTS} more" if len(listed) > MOST_FAULTS else ""
    return f"Left out of this link: {'; '.join(listed[:MOST_FAULTS])}{more}."


def _text(value: Any) -> str:
    """A value as JavaScript writes it, too: 4 and not 4.0."""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:.16g}" if isinstance(value, float) else str(value)


def _short(text: Any, longest: int = LONGEST) -> str:
    text = " ".join(str(text)[: 2 * longest].split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
