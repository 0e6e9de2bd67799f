"""The filter expressions of ``get_all_records_where``.

    field "name__label" = "web1" and not (field "power_state" = "Running" or false)

Both sides of ``=`` are a field or a literal; ``not`` binds closer than ``and``, that closer than ``or``. Values are
compared as texts: ``true``, ``42``, ``20240102T03:04:05Z``, sets as ``('a' 'b')``, maps as ``(('key' 'value'))``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from xenapi_core.datamodel.fields import Field
from xenapi_core.datamodel.record import Record

LONGEST = 4096
"""Characters of an expression."""
DEEPEST = 32
"""How deep parentheses and negations may be nested."""

Read = Callable[[Record, str], Any]
"""Reads a sampled field of a record."""
Filter = Callable[[Record, Read], bool]
_Side = Callable[[Record, Read], str]

_TOKEN = re.compile(r'\s*(?:(?P<word>[a-zA-Z]+)|(?P<sign>[()=])|"(?P<text>(?:[^"\\]|\\.)*)")', re.DOTALL)
_WORDS = frozenset({"field", "and", "or", "not", "true", "false"})


class FilterError(ValueError):
    """A text that is no filter expression."""


def parse(text: str, fields: Mapping[str, Field]) -> Filter:
    """Return the filter that an expression on a class's fields stands for; FilterError if it stands for none."""
    if len(text) > LONGEST:
        raise FilterError(f"longer than {LONGEST} characters")
    parser = _Parser(list(_tokens(text)), fields)
    found = parser.alternatives(0)
    if parser.next() != "":
        raise FilterError("more follows the expression")
    return found


def _tokens(text: str) -> Iterator[str]:
    """Yield the words and signs of an expression as they are, and texts with a leading quotation mark."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"what stands at {position} is not known")
        position = match.end()
        if match["text"] is not None:
            yield '"' + re.sub(r"\\(.)", r"\1", match["text"], flags=re.DOTALL)
        elif match["word"] is None or match["word"] in _WORDS:
            yield match["word"] or match["sign"]
        else:
            raise FilterError(f"the word {match['word']} is not known")


class _Parser:
    """A parser by recursive descent; each method reads one kind of expression."""

    def __init__(self, tokens: Sequence[str], fields: Mapping[str, Field]) -> None:
        self._tokens = tokens
        self._position = 0
        self._fields = fields

    def next(self) -> str:
        """Take the next token; empty at the end."""
        self._position += 1
        return self._tokens[self._position - 1] if self._position <= len(self._tokens) else ""

    def _follows(self, token: str) -> bool:
        """Take the next token if it is a certain one."""
        if self._position < len(self._tokens) and self._tokens[self._position] == token:
            self._position += 1
            return True
        return False

    def alternatives(self, depth: int) -> Filter:
        """Read terms joined by ``or``."""
        terms = [self._conditions(depth)]
        while self._follows("or"):
            terms.append(self._conditions(depth))
        return terms[0] if len(terms) == 1 else lambda record, read: any(term(record, read) for term in terms)

    def _conditions(self, depth: int) -> Filter:
        terms = [self._term(depth)]
        while self._follows("and"):
            terms.append(self._term(depth))
        return terms[0] if len(terms) == 1 else lambda record, read: all(term(record, read) for term in terms)

    def _term(self, depth: int) -> Filter:
        if depth > DEEPEST:
            raise FilterError(f"nested deeper than {DEEPEST} levels")
        if self._follows("true"):
            return lambda record, read: True
        if self._follows("false"):
            return lambda record, read: False
        if self._follows("not"):
            negated = self._term(depth + 1)
            return lambda record, read: not negated(record, read)
        if self._follows("("):
            inner = self.alternatives(depth + 1)
            if not self._follows(")"):
                raise FilterError("a parenthesis is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        left = self._side()
        if not self._follows("="):
            raise FilterError("= is missing")
        right = self._side()
        return lambda record, read: left(record, read) == right(record, read)

    def _side(self) -> _Side:
        is_field = self._follows("field")
        token = self.next()
        if not token.startswith('"'):
            raise FilterError("a text in quotation marks is missing")
        text = token[1:]
        return self._field(text.replace("__", "_")) if is_field else lambda record, read: text

    def _field(self, name: str) -> _Side:
        if name in ("_ref", "ref"):
            return lambda record, read: record.ref
        if name not in self._fields or self._fields[name].internal:
            raise FilterError(f"there is no field {name}")
        if self._fields[name].sampled:
            return lambda record, read: _text(read(record, name))
        return lambda record, read: _text(record[name])


def _text(value: Any) -> str:
    """Return a value as expressions spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{value:%Y%m%dT%H:%M:%SZ}"
    if isinstance(value, tuple):
        return f"({' '.join(map(_quoted, value))})"
    if isinstance(value, dict):
        return f"({' '.join(f'({_quoted(key)} {_quoted(item)})' for key, item in value.items())})"
    return str(value)


def _quoted(value: Any) -> str:
    return f"'{_text(value)}'"
