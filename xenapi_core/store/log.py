"""The change log: what was committed, in order, and who waits for more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from xenapi_core.datamodel.record import Record

ADD, MOD, DEL = "add", "mod", "del"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a commit did to one object."""

    operation: str
    """"add", "mod" or "del"."""
    record: Record
    """The object after the commit; of a deleted one, before it."""
    fields: tuple[str, ...] = ()
    """Of a "mod": the names of the fields that changed; none if it was only touched."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic step."""

    sequence: int
    time: datetime
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Interest:
    """Which objects somebody wants to hear of: everything, whole classes, single objects."""

    everything: bool = False
    classes: frozenset[str] = frozenset()
    refs: frozenset[str] = frozenset()

    def covers(self, record: Record) -> bool:
        """Whether an object is one of those."""
        return self.everything or record.cls in self.classes or record.ref in self.refs

    @property
    def keys(self) -> Iterator[str]:
        """What a commit's entries are looked up by, to find who waits for them."""
        if self.everything:
            yield "*"
            return
        yield from self.classes
        yield from self.refs


@dataclass
class ChangeLog:
    """The latest commits. Holds at most ``limit`` commits and entries, but always the newest commit."""

    start: int = 0
    """The sequence number before the first commit."""
    limit: int = 20_000
    _commits: deque[Commit] = field(default_factory=deque, init=False, repr=False)
    _entries: int = field(default=0, init=False)
    _waiting: dict[str, set[asyncio.Future[int]]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.floor = self.sequence = self.start

    floor: int = field(init=False)
    """Everything after this sequence number is still known."""
    sequence: int = field(init=False)
    """The newest sequence number."""

    def append(self, commit: Commit) -> None:
        """Add the next commit and wake those who wait for what it changed."""
        self._commits.append(commit)
        self._entries += 1 + len(commit.entries)
        self.sequence = commit.sequence
        while self._entries > self.limit and len(self._commits) > 1:
            oldest = self._commits.popleft()
            self._entries -= 1 + len(oldest.entries)
            self.floor = oldest.sequence
        if self._waiting and commit.entries:
            self._wake(commit)

    def since(self, sequence: int) -> Iterator[Commit]:
        """Yield the commits after a sequence number that is not below the floor, oldest first."""
        count = 0
        for commit in reversed(self._commits):
            if commit.sequence <= sequence:
                break
            count += 1
        return islice(self._commits, len(self._commits) - count, None)

    def next_change(self, interest: Interest) -> asyncio.Future[int]:
        """Return a future of the next commit's sequence number that touches something of interest.

        Cancel it to stop waiting.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for key in interest.keys:
            self._waiting.setdefault(key, set()).add(future)
        future.add_done_callback(lambda done: self._forget(interest, done))
        return future

    def _forget(self, interest: Interest, future: asyncio.Future[int]) -> None:
        for key in interest.keys:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[key]

    def _wake(self, commit: Commit) -> None:
        keys = {"*"}
        for entry in commit.entries:
            keys.add(entry.record.cls)
            keys.add(entry.record.ref)
        for key in keys & self._waiting.keys():
            for future in self._waiting[key]:
                if not future.done():
                    future.set_result(commit.sequence)
