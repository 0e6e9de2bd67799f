"""Events: what changed, told to those who asked.

There are two generations. ``event.from`` gives a batch of what changed since a token, one event per object, however
often it changed. ``event.register`` and ``event.next`` give one event per change and field, in order, to a registered
session. Both read the store's change log, whose commits are never split between two answers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypedDict
from weakref import WeakKeyDictionary

from xenapi_core.access.sessions import Session, Sessions
from xenapi_core.datamodel import READ_ONLY, Call, Datamodel, Int32, Record, RecordOf, XenApiError, XenClass, message
from xenapi_core.datamodel.xenclass import ClassDefinition
from xenapi_core.limits import DEFAULT, Limits
from xenapi_core.store.log import ADD, DEL, ChangeLog, Entry, Interest
from xenapi_core.store.store import Store

WINDOW = 0.01
"""Seconds between the change that wakes a reader and its answer, so that what belongs together comes together."""

LONGEST_WAIT = 24 * 3600.0
"""Seconds that ``event.from`` waits at most."""


class event_operation(StrEnum):
    """What happened to an object."""

    add = "add"
    del_ = "del"
    mod = "mod"


AnyRecord = Annotated[dict[str, Any], RecordOf("*")]

Event = TypedDict(
    "Event",
    {
        "id": str,
        "timestamp": str,
        "class": str,
        "operation": event_operation,
        "ref": str,
        "snapshot": AnyRecord,
    },
    total=False,
)
"""An event of ``event.from``: the class in lower case, no snapshot of an object that is gone."""

FieldEvent = TypedDict(
    "FieldEvent",
    {
        "id": int,
        "timestamp": datetime,
        "class": str,
        "operation": event_operation,
        "ref": str,
        "obj_uuid": str,
        "field": str,
        "snapshot": AnyRecord,
    },
    total=False,
)
"""An event of ``event.next``: ids count up from 1 in each session, ``field`` is the one that changed (else empty)."""


class EventBatch(TypedDict):
    """What ``event.from`` answers."""

    events: Sequence[Event]
    valid_ref_counts: dict[str, Annotated[int, Int32()]]
    token: str


class event(XenClass, stored=False, events=False):
    """What changed. Events are read, not kept."""

    @message(
        role=READ_ONLY,
        waits=True,
        errors=(
            "EVENT_SUBSCRIPTION_PARSE_FAILURE",
            "EVENT_FROM_TOKEN_PARSE_FAILURE",
            "EVENTS_LOST",
            "SESSION_INVALID",
            "TOO_BUSY",
        ),
    )
    async def from_(call: Call, classes: list[str], token: str, timeout: float) -> EventBatch:  # noqa: ASYNC109
        """Get what changed since a token, and a new token; wait for up to ``timeout`` seconds if nothing has.

        ``classes`` names what is of interest: "*", a class, or a class and a reference, as in "VM/OpaqueRef:...".
        The empty token stands for the time before all objects. EVENTS_LOST: the server no longer knows all that
        changed since the token; begin again with the empty one. TOO_BUSY: too many calls wait for events.
        """
        reader = Reader(call, _interest(call, classes))
        since = _parsed(token)
        if since is None:
            return reader.everything()
        with call.service(Registrations).waiting(call) as session:
            return await reader.changes(since, min(max(0.0, timeout), LONGEST_WAIT), session)

    @message(role=READ_ONLY)
    def register(call: Call, classes: list[str]) -> None:
        """Register this session for the events of some classes; of all, if none is named. Adds to earlier ones."""
        call.service(Registrations).add(call, classes)

    @message(role=READ_ONLY)
    def unregister(call: Call, classes: list[str]) -> None:
        """End the registration of this session for some classes; for all, if none is named."""
        call.service(Registrations).remove(call, classes)

    @message(
        role=READ_ONLY, waits=True, errors=("SESSION_NOT_REGISTERED", "EVENTS_LOST", "SESSION_INVALID", "TOO_BUSY")
    )
    async def next(call: Call) -> list[FieldEvent]:
        """Get all events since the last call; wait until there is at least one.

        EVENTS_LOST, once: more happened than the server keeps. What is read afterwards begins now.
        """
        registration = call.service(Registrations).of(call)
        with call.service(Registrations).waiting(call) as session:
            return await registration.next(_store(call).log, session)

    @message(role=READ_ONLY, errors=("HANDLE_INVALID",))
    def inject(call: Call, class_: str, ref: str) -> str:
        """Raise a mod event of an object, and return the token of the moment before."""
        store = _store(call)
        cls = _visible(call).get(class_.lower())
        record = store.get(ref)
        if cls is None or record is None or record.cls != cls.name:
            raise XenApiError("HANDLE_INVALID", class_, ref)
        with store.write() as change:
            change.touch(ref)
        return _token(store.sequence - 1)

    @message(role=READ_ONLY)
    def get_current_id(call: Call) -> int:
        """Get the number of the newest change."""
        return _store(call).log.sequence


def _store(call: Call) -> Store:
    return call.service(Store)


def _token(sequence: int) -> str:
    return f"{sequence:020d},{0:020d}"


def _parsed(token: str) -> int | None:
    if not token:
        return None
    if re.fullmatch(r"\d{1,20},\d{1,20}", token) is None:
        raise XenApiError("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(token.split(",")[0])


def _interest(call: Call, subscriptions: Sequence[str]) -> Interest:
    """Return what subscriptions name. Classes that there are not are of no interest: older clients name some."""
    known = _visible(call)
    classes, refs = set(), set()
    for subscription in subscriptions:
        name, slash, ref = subscription.partition("/")
        if not name or (slash and not ref):
            raise XenApiError("EVENT_SUBSCRIPTION_PARSE_FAILURE", subscription)
        if name == "*":
            return _all_of_interest(call, known.values())
        cls = known.get(name.lower())
        if cls is not None:
            found = _store(call).get(ref)
            if not slash:
                classes.add(cls.name)
            elif found is None or found.cls == cls.name:
                refs.add(ref)
    return Interest(classes=frozenset(classes), refs=frozenset(refs))


def _visible(call: Call) -> dict[str, ClassDefinition]:
    """Return the classes whose events the caller may see, by the name in lower case."""
    known = call.service(Datamodel).by_lower_name
    return {name: cls for name, cls in known.items() if cls.events and cls.readers <= call.role}


def _all_of_interest(call: Call, visible: Collection[ClassDefinition]) -> Interest:
    every = sum(cls.events for cls in call.service(Datamodel).classes.values())
    if len(visible) == every:
        return Interest(everything=True)
    return Interest(classes=frozenset(cls.name for cls in visible))


async def _change(log: ChangeLog, interest: Interest, session: Session, seconds: float | None = None) -> int | None:
    """Wait for a change of interest and return its sequence number, None if there was none in time.

    SESSION_INVALID if the session ends meanwhile.
    """
    change = log.next_change(interest)
    ended = asyncio.ensure_future(session.ended.wait())
    try:
        await asyncio.wait((change, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if session.ended.is_set():
            raise XenApiError("SESSION_INVALID", session.ref)
        if not change.done():
            return None
        await asyncio.sleep(WINDOW)
        return change.result()
    finally:
        change.cancel()
        ended.cancel()


@dataclass(frozen=True)
class Reader:
    """One call of ``event.from``."""

    call: Call
    interest: Interest

    @property
    def _store(self) -> Store:
        return _store(self.call)

    def everything(self) -> EventBatch:
        """Return all objects as events, as if they had just been added."""
        sequence = str(self._store.log.sequence)
        table = self._store.durable
        names = [cls.name for cls in self.call.service(Datamodel).classes.values() if cls.events]
        records = [record for name in names for record in table.records(name) if self.interest.covers(record)]
        return self._batch(_Added(records, sequence))

    async def changes(self, since: int, seconds: float, session: Session) -> EventBatch:
        """Return what changed since a sequence number; if nothing has, wait for up to some seconds."""
        log = self._store.log
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if since < log.floor or since > self._store.sequence:
                raise XenApiError("EVENTS_LOST")
            events = self._events(since)
            remaining = deadline - asyncio.get_running_loop().time()
            if events or remaining <= 0:
                return self._batch(events)
            changed = await _change(log, self.interest, session, remaining)
            # Up to that change nothing of interest happened, so the log may have forgotten it.
            since = max(since, log.sequence if changed is None else changed - 1)

    def _events(self, since: int) -> list[Event]:
        first: dict[str, str] = {}
        last: dict[str, tuple[Entry, int]] = {}
        for commit in self._store.log.since(since):
            for entry in commit.entries:
                if self.interest.covers(entry.record):
                    first.setdefault(entry.record.ref, entry.operation)
                    last[entry.record.ref] = entry, commit.sequence
        order = event_operation.add, event_operation.mod, event_operation.del_
        events: dict[event_operation, list[Event]] = {operation: [] for operation in order}
        for ref, (entry, sequence) in last.items():
            operation = _coalesced(first[ref], entry.operation)
            if operation is not None:
                events[operation].append(_event(operation, entry.record, str(sequence)))
        return [each for group in events.values() for each in group]

    def _batch(self, events: Sequence[Event]) -> EventBatch:
        table = self._store.durable
        counts = {
            cls.name.lower(): table.count(cls.name)
            for cls in self.call.service(Datamodel).classes.values()
            if cls.events and (self.interest.everything or cls.name in self.interest.classes)
        }
        return {"events": events, "valid_ref_counts": counts, "token": _token(self._store.log.sequence)}


class _Added(Sequence[Event]):
    """Objects as events, each made when it is read: there may be very many."""

    def __init__(self, records: Sequence[Record], sequence: str) -> None:
        self._records = records
        self._sequence = sequence

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Added(self._records[index], self._sequence)
        return _event(event_operation.add, self._records[index], self._sequence)


def _coalesced(first: str, last: str) -> event_operation | None:
    """Return what the first and the last of an object's changes amount to; None: it came and went."""
    if last == DEL:
        return None if first == ADD else event_operation.del_
    return event_operation.add if first == ADD else event_operation.mod


def _event(operation: event_operation, record: Record, sequence: str) -> Event:
    told: Any = {
        "id": sequence,
        "timestamp": "0.0",
        "class": record.cls.lower(),
        "operation": operation,
        "ref": record.ref,
    }
    if operation is not event_operation.del_:
        told["snapshot"] = record
    return told  # type: ignore[no-any-return]


@dataclass
class Registration:
    """What a session registered for, and how far it has read."""

    classes: frozenset[str]
    read: int
    """The sequence number up to which the session has its events."""
    told: int = 0
    """How many events the session has had."""

    async def next(self, log: ChangeLog, session: Session) -> list[FieldEvent]:
        """Return all events that the session has not had yet; wait until there are some."""
        while True:
            if self.read < log.floor:
                self.read = log.sequence
                raise XenApiError("EVENTS_LOST")
            events = list(self._events(log))
            self.read = log.sequence
            if events:
                return events
            changed = await _change(log, Interest(classes=self.classes), session)
            if changed is not None:
                self.read = max(self.read, changed - 1)

    def _events(self, log: ChangeLog) -> Iterator[FieldEvent]:
        for commit in log.since(self.read):
            for entry in commit.entries:
                if entry.record.cls in self.classes:
                    for name in entry.fields or ("",):
                        yield self._event(entry, name, commit.time)

    def _event(self, entry: Entry, name: str, time: datetime) -> FieldEvent:
        self.told += 1
        record = entry.record
        told: Any = {
            "id": self.told,
            "timestamp": time,
            "class": record.cls,
            "operation": event_operation(entry.operation),
            "ref": record.ref,
            "obj_uuid": getattr(record, "uuid", ""),
            "field": name,
        }
        if entry.operation != DEL:
            told["snapshot"] = record
        return told  # type: ignore[no-any-return]


class Registrations:
    """Which sessions are registered for what, and how many calls wait."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._most_waiting = limits.waiting_readers
        self.count_waiting = 0
        """How many calls wait."""
        self._registrations: WeakKeyDictionary[Session, Registration] = WeakKeyDictionary()

    @contextmanager
    def waiting(self, call: Call) -> Iterator[Session]:
        """Count a call that waits, and keep its session from counting as idle; TOO_BUSY if too many wait."""
        session = call.service(Sessions).get(call.session)
        if self.count_waiting >= self._most_waiting:
            raise XenApiError("TOO_BUSY")
        self.count_waiting += 1
        session.waiting += 1
        try:
            yield session
        finally:
            session.waiting -= 1
            self.count_waiting -= 1

    def of(self, call: Call) -> Registration:
        """Return the registration of a call's session; SESSION_NOT_REGISTERED if it has none."""
        registration = self._registrations.get(call.service(Sessions).get(call.session))
        if registration is None:
            raise XenApiError("SESSION_NOT_REGISTERED", call.session)
        return registration

    def add(self, call: Call, names: Sequence[str]) -> None:
        """Register a call's session for some classes, or for all."""
        session = call.service(Sessions).get(call.session)
        known = self._registrations.get(session)
        if known is None:
            known = self._registrations[session] = Registration(frozenset(), _store(call).log.sequence)
        known.classes |= _named(call, names)

    def remove(self, call: Call, names: Sequence[str]) -> None:
        """End the registration of a call's session for some classes, or for all."""
        session = call.service(Sessions).get(call.session)
        known = self._registrations.get(session)
        if known is not None:
            known.classes -= _named(call, names)
            if not known.classes:
                del self._registrations[session]


def _named(call: Call, names: Sequence[str]) -> frozenset[str]:
    known = _visible(call)
    if not names or "*" in names:
        return frozenset(cls.name for cls in known.values())
    return frozenset(known[name.lower()].name for name in names if name.lower() in known)
