"""S-expressions, as xend's settings file has them: lists of words and quoted texts, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

DEEPEST = 100
"""How deep lists may be nested."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<open>\()|(?P<close>\))|(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<word>[^\s()'"]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


@dataclass(frozen=True)
class Atom:
    """A word or a quoted text."""

    text: str
    line: int


@dataclass(frozen=True)
class List:
    """A list."""

    items: tuple[Node, ...]
    line: int
    """Where it begins."""


Node: TypeAlias = Atom | List


class SxpError(ValueError):
    """A text that is no S-expressions: the line, and a sentence."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


def parse(text: str) -> list[Node]:
    """Return the expressions of a text; SxpError if it is none."""
    open_lists: list[tuple[int, list[Node]]] = [(1, [])]
    for kind, token, line in _tokens(text):
        if kind == "open":
            if len(open_lists) > DEEPEST:
                raise SxpError(line, "Lists are nested too deeply.")
            open_lists.append((line, []))
        elif kind == "close":
            if len(open_lists) == 1:
                raise SxpError(line, "This ')' closes no list.")
            begun, items = open_lists.pop()
            open_lists[-1][1].append(List(tuple(items), begun))
        else:
            open_lists[-1][1].append(Atom(_unquoted(token) if kind == "quoted" else token, line))
    if len(open_lists) > 1:
        raise SxpError(open_lists[-1][0], "The list that begins here is not closed.")
    return open_lists[0][1]


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    line, position = 1, 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise SxpError(line, "The quoted text that begins here is not closed.")
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0], line
        line += found[0].count("\n")
        position = found.end()


def _unquoted(token: str) -> str:
    return _ESCAPE.sub(lambda found: _meant(found[1]), token[1:-1])


def _meant(escape: str) -> str:
    """Return what an escape stands for; one that stands for nothing keeps its backslash, as in an expression."""
    if len(escape) == 3:
        return chr(int(escape[1:], 16) if escape[0] == "x" else int(escape, 8))
    return _ESCAPED.get(escape, f"\\{escape}")
