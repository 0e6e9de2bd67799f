"""Kinds of settings: what a value has to be, in words and as a check."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netserve.hosts import compiled
from netserve.origins import is_origin


@dataclass(frozen=True)
class Kind:
    """What a value of a settings file has to be."""

    words: str
    """Continues "has to be"."""
    accept: Callable[[Any], Any]
    """Returns the value as the program has it; ValueError says why it cannot be, if there is more to say than words."""


def number(least: int, most: int, unit: str = "") -> Kind:
    """A whole number within limits."""

    def accept(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    return Kind(f"a whole number from {least} to {most}{f' ({unit})' if unit else ''}", accept)


def seconds(least: float, most: float) -> Kind:
    """A time, whole or not."""

    def accept(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise ValueError
        return float(value)

    return Kind(f"a number from {least:.9g} to {most:.9g} (seconds)", accept)


def choice(*choices: str) -> Kind:
    """One of some words."""

    def accept(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Kind(" or ".join(f'"{each}"' for each in choices), accept)


def text(words: str, pattern: str) -> Kind:
    """A text that matches a pattern as a whole."""
    shape = re.compile(pattern)

    def accept(value: Any) -> str:
        if not isinstance(value, str) or shape.fullmatch(value) is None:
            raise ValueError
        return value

    return Kind(words, accept)


def many(of: Kind, words: str) -> Kind:
    """A list."""

    def accept(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(map(of.accept, value))

    return Kind(words, accept)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError
    return Path(value)


def _expression(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    compiled(value)
    return value


def _origin(value: Any) -> str:
    if not isinstance(value, str) or not is_origin(value):
        raise ValueError
    return value


FLAG = Kind("true or false", _flag)
PATH = Kind("an absolute path", _path)
EXPRESSIONS = many(Kind("a regular expression", _expression), "a list of regular expressions")
ORIGINS = many(Kind("an origin", _origin), "a list of origins such as https://ops.example.com, or of *")
NAMES = many(text("a host name or an IP address", r"[A-Za-z0-9.:*-]{1,253}"), "a list of host names and IP addresses")
URL = text("a URL: http://, https:// or http+unix://", r"(https?|http\+unix)://[!-~]+")
