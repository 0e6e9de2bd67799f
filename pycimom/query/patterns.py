"""Patterns after LIKE: the wildcards of WQL and the regular expressions of CQL and FQL.

Patterns come from strangers, so they are run as automata, in time that grows with pattern times text, and not by
``re``, which some patterns keep busy for ever. A pattern matches the whole of a string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

MAX_PATTERN = 512
_KEPT_MOVES = 4096

Test: TypeAlias = Callable[[str], bool]


class PatternError(ValueError):
    """A pattern that means nothing; the message says why."""


@dataclass
class _Piece:
    """A part of an automaton: where it begins and where it ends."""

    start: int
    end: int


@dataclass
class Pattern:
    """An automaton: states joined by tests of one character, or by nothing."""

    start: int = 0
    end: int = 0
    _tests: list[tuple[Test, int] | None] = field(default_factory=list)
    _free: list[list[int]] = field(default_factory=list)
    _moves: dict[tuple[frozenset[int], str], frozenset[int]] = field(default_factory=dict)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches all of ``text``."""
        states = self._closure({self.start})
        for character in text:
            states = self._move(states, character)
            if not states:
                return False
        return self.end in states

    def _move(self, states: frozenset[int], character: str) -> frozenset[int]:
        known = self._moves.get((states, character))
        if known is None:
            joins = (self._tests[state] for state in states)
            known = self._closure({join[1] for join in joins if join is not None and join[0](character)})
            if len(self._moves) < _KEPT_MOVES:
                self._moves[states, character] = known
        return known

    def _closure(self, states: set[int]) -> frozenset[int]:
        waiting = list(states)
        while waiting:
            for free in self._free[waiting.pop()]:
                if free not in states:
                    states.add(free)
                    waiting.append(free)
        return frozenset(states)

    def _state(self) -> int:
        self._tests.append(None)
        self._free.append([])
        return len(self._free) - 1

    def one(self, test: Test) -> _Piece:
        """Return a piece that takes one character."""
        start, end = self._state(), self._state()
        self._tests[start] = (test, end)
        return _Piece(start, end)

    def nothing(self) -> _Piece:
        """Return a piece that takes no character."""
        state = self._state()
        return _Piece(state, state)

    def sequence(self, first: _Piece, second: _Piece) -> _Piece:
        """Return one piece after the other."""
        self._free[first.end].append(second.start)
        return _Piece(first.start, second.end)

    def either(self, first: _Piece, second: _Piece) -> _Piece:
        """Return a piece that is one or the other."""
        start, end = self._state(), self._state()
        self._free[start] += [first.start, second.start]
        self._free[first.end].append(end)
        self._free[second.end].append(end)
        return _Piece(start, end)

    def repeat(self, piece: _Piece, least: int, endless: bool) -> _Piece:
        """Return a piece that occurs from ``least`` (0 or 1) times to once or without end."""
        start, end = self._state(), self._state()
        self._free[start].append(piece.start)
        self._free[piece.end].append(end)
        if least == 0:
            self._free[start].append(end)
        if endless:
            self._free[piece.end].append(piece.start)
        return _Piece(start, end)

    def whole(self, piece: _Piece) -> Pattern:
        """Take a piece as the whole pattern."""
        self.start, self.end = piece.start, piece.end
        return self


def wildcards(pattern: str) -> Pattern:
    """Return a pattern of WQL: ``%`` any characters, ``_`` one, ``[a-f]`` and ``[^a-f]`` one of a set."""
    reader = _Reader(pattern)
    automaton = Pattern()
    piece = automaton.nothing()
    while (character := reader.take()) is not None:
        if character == "%":
            part = automaton.repeat(automaton.one(_any), least=0, endless=True)
        elif character == "_":
            part = automaton.one(_any)
        elif character == "[" and reader.has_more("]"):
            part = automaton.one(reader.set())
        else:
            part = automaton.one(character.__eq__)
        piece = automaton.sequence(piece, part)
    return automaton.whole(piece)


def regular(pattern: str) -> Pattern:
    r"""Return a regular expression of CQL or FQL (DSP1001 annex B).

    It may have ``. [ ] [^ ] * + ? | ( )``, and ``\`` before a character that stands for itself.
    """
    reader = _Reader(pattern.removeprefix("^"))
    automaton = Pattern()
    result = automaton.whole(_alternatives(reader, automaton, depth=0))
    if reader.take() is not None:
        raise PatternError("there is a ) without a (")
    return result


def _alternatives(reader: _Reader, automaton: Pattern, depth: int) -> _Piece:
    if depth > 32:
        raise PatternError("its brackets are nested too deep")
    piece = _sequence(reader, automaton, depth)
    while reader.peek() == "|":
        reader.take()
        piece = automaton.either(piece, _sequence(reader, automaton, depth))
    return piece


def _sequence(reader: _Reader, automaton: Pattern, depth: int) -> _Piece:
    piece = automaton.nothing()
    while (character := reader.peek()) is not None and character not in "|)":
        reader.take()
        if character == "$" and reader.peek() is None:
            break
        part = _atom(character, reader, automaton, depth)
        while (mark := reader.peek()) is not None and mark in "*+?":
            reader.take()
            part = automaton.repeat(part, least=1 if mark == "+" else 0, endless=mark != "?")
        piece = automaton.sequence(piece, part)
    return piece


def _atom(character: str, reader: _Reader, automaton: Pattern, depth: int) -> _Piece:
    if character == ".":
        return automaton.one(_any)
    if character == "[":
        return automaton.one(reader.set())
    if character == "(":
        piece = _alternatives(reader, automaton, depth + 1)
        if reader.take() != ")":
            raise PatternError("there is a ( without a )")
        return piece
    if character in "*+?":
        raise PatternError(f"there is nothing that {character} could repeat")
    if character == "\\":
        escaped = reader.take()
        if escaped is None:
            raise PatternError("it ends with a \\")
        character = escaped
    return automaton.one(character.__eq__)


class _Reader:
    """The characters of a pattern, one after the other."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise PatternError(f"it is longer than {MAX_PATTERN} characters")
        self._text = text
        self._next = 0

    def peek(self) -> str | None:
        return self._text[self._next] if self._next < len(self._text) else None

    def take(self) -> str | None:
        character = self.peek()
        self._next += 1
        return character

    def has_more(self, character: str) -> bool:
        return character in self._text[self._next :]

    def set(self) -> Test:
        """Return the test of a set, whose ``[`` was taken."""
        negated = self.peek() == "^"
        if negated:
            self.take()
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        while (character := self._set_member(bool(singles or ranges))) is not None:
            if self.peek() == "-" and self._text[self._next + 1 : self._next + 2] not in ("]", ""):
                self.take()
                ranges.append((character, self._set_member(True) or ""))
            else:
                singles.add(character)

        def test(candidate: str) -> bool:
            found = candidate in singles or any(low <= candidate <= high for low, high in ranges)
            return found is not negated

        return test

    def _set_member(self, may_end: bool) -> str | None:
        character = self.take()
        if character == "]" and may_end:
            return None
        if character == "\\":
            character = self.take()
        if character is None:
            raise PatternError("there is a [ without a ]")
        return character


def _any(_: str) -> bool:
    return True
