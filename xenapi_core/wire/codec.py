"""What the codecs have in common: a call as it came, and how an answer is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from xenapi_core.datamodel.types import Type


@dataclass(frozen=True)
class Incoming:
    """A call as it came: the method's name, and parameters that no type has looked at yet."""

    method: str
    parameters: list[Any]


class MalformedError(Exception):
    """A request that is no call. The text is a sentence for people."""

    code = -32700
    """The fault code for requests that cannot be parsed."""


class Encoder(Protocol):
    """Writes answers in pieces that need no joining."""

    content_type: str

    def success(self, value: Any, kind: Type) -> Iterable[bytes]:
        """Return the body of an answer with a value."""

    def failure(self, description: Sequence[str]) -> Iterable[bytes]:
        """Return the body of an answer with an error."""

    def bare(self, value: Any, kind: Type) -> Iterable[bytes]:
        """Return the body of an answer to one of the protocol's own system.* messages."""
