"""Settings in TOML: a text to the settings of one daemon, or to problems with their lines."""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeVar

from xen_tools.configuration.declaration import Path, dotted, read, unknown
from xen_tools.configuration.problems import Problem, SettingsError

T = TypeVar("T")

SECTIONS = ("xenapid", "pycimom")
"""The tables of a file; each daemon reads its own."""

LARGEST = 256 * 1024
"""Characters of a file."""
_TRIES = 300
"""How many beginnings of a file are read to find a line."""
_AT_LINE = re.compile(r"\(at line (\d+)")


def parse(text: str, file: str, name: str, section: type[T]) -> T:
    """Return the settings of a section; SettingsError has all that is wrong with it."""
    problems: list[Problem] = []

    def report(where: Path, sentence: str) -> None:
        problems.append(Problem(file, line_of(text, where), dotted(where), sentence))

    document = _document(text, file)
    for key in document:
        if key not in SECTIONS:
            report((key,), unknown(key, SECTIONS))
    settings = read(section, document.get(name, {}), report, (name,))
    if settings is None or problems:
        raise SettingsError(problems)
    return settings


def _document(text: str, file: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise SettingsError([Problem(file, None, "", f"The file has more than {LARGEST} characters.")])
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError([Problem(file, None, "", "Values are nested too deeply.")]) from error
    except ValueError as error:
        place = _AT_LINE.search(str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        raise SettingsError([Problem(file, line, "", f"This is not TOML: {error}.")]) from error


def line_of(text: str, where: Path) -> int | None:
    """Return the line at which a place of a document ends, or at which its table begins; None if it is not found.

    The library that reads TOML does not tell lines. But the text up to this line, and no shorter one, has the place.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    place = _existing(_beginning(lines), where)
    if not place:
        return None
    low, high, found = 0, len(lines), len(lines)
    tries = _TRIES
    while high - low > 1:
        middle = end = (low + high) // 2
        beginning = None
        while end < high and (beginning := _beginning(lines[:end])) is None:  # in the middle of a value
            end += 1
            tries -= 1
        if tries < 0:
            return None
        if end == high:
            high = middle
        elif _existing(beginning, place) == place:
            high, found = middle, end
        else:
            low = end
    return found


def _beginning(lines: list[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines) + "\n")
    except (ValueError, RecursionError):
        return None


def _existing(document: Any, where: Path) -> Path:
    """Return as much of a place as there is in a document."""
    for depth, part in enumerate(where):
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return where[:depth]
    return where
