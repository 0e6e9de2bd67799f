"""What the codecs have in common: a call as it came, and what is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_PIECE = 1 << 14
"""Bytes of a text that are searched at a time."""


@dataclass(frozen=True)
class Incoming:
    """A call as it came: the method's name, and parameters that no type has looked at yet."""

    method: str
    parameters: list[Any]


class MalformedError(Exception):
    """A request that is no call. The text is a sentence for people."""

    def __init__(self, text: str, code: int = -32700) -> None:
        """``code`` is that of XML-RPC's and JSON-RPC's conventions: -32700 for what cannot be parsed at all."""
        super().__init__(text)
        self.code = code


def holds_more(text: bytes, signs: Sequence[bytes], most: int) -> bool:
    """Return whether a text holds more than so many of some signs, without reading more of it than that takes."""
    found = 0
    for start in range(0, len(text), _PIECE):
        found += sum(text.count(sign, start, start + _PIECE) for sign in signs)
        if found > most:
            return True
    return False
