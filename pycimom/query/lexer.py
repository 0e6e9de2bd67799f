"""The words of a query."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from pycimom.query.errors import invalid

Kind: TypeAlias = Literal["name", "string", "number", "symbol", "end"]

_TOKEN = re.compile(
    r"""(?P<space> \s+ )
      | (?P<string> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
      | (?P<number> [+-]? (?: 0[xX][0-9A-Fa-f]+ | [01]+[bB] | (?: \d+(?:\.\d+)? | \.\d+ ) (?:[eE][+-]?\d+)? )
                    (?![A-Za-z_]) )
      | (?P<name> [^\W\d]\w* )
      | (?P<symbol> <> | <= | >= | != | :: | [=<>().,*\[\]] )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_ESCAPED = re.compile(r"\\(?:[xXu]([0-9A-Fa-f]{1,4})|(.))", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """A word of a query and where it begins."""

    kind: Kind
    text: str
    position: int

    @property
    def keyword(self) -> str:
        """The word in upper case if it could be a keyword or symbol, else nothing."""
        return self.text.upper() if self.kind in ("name", "symbol") else ""

    def string(self, keep: str = "") -> str:
        """Return the value of a string, escapes undone (DSP0202 5.2), but for those of the characters ``keep``."""

        def undo(match: re.Match[str]) -> str:
            code, character = match.groups()
            if code is not None:
                return chr(int(code, 16))
            return match.group() if character in keep else _ESCAPES.get(character, character)

        return _ESCAPED.sub(undo, self.text[1:-1])

    def number(self) -> int | float:
        """Return the value of a number."""
        text = self.text.lower()
        if "0x" in text:
            return int(text, 16)
        if text.endswith("b"):
            return int(text[:-1], 2)
        return float(text) if any(mark in text for mark in ".e") else int(text)


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a query, an end at last; CimError INVALID_QUERY at what is no word."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            what = "a string that does not end" if text[position] in "'\"" else f"an unexpected {text[position]!r}"
            raise invalid(f"The query has {what}", position)
        if match.lastgroup != "space":
            yield Token(cast(Kind, match.lastgroup), match.group(), position)
        position = match.end()
    yield Token("end", "", position)
