"""Writing values of declared types, whatever the syntax. Records are written once until they change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.roles import READ_ONLY
from xenapi_core.datamodel.types import Map, RecordType, Set, Structure, Type

BUDGET = 192 * 1024 * 1024
"""Bytes of written records that an encoder keeps."""

Text = Callable[[Any], str]
Writer = Callable[[Any], Iterator[bytes]]


@dataclass(frozen=True)
class Syntax:
    """How a wire format writes values."""

    scalars: Mapping[Type, Text]
    other: Text
    """Writes the scalars of all other types."""
    name: Callable[[str], str]
    """Writes the name of a struct's member."""
    array: tuple[str, str]
    no_items: str
    struct: tuple[str, str]
    no_members: str
    member: tuple[str, str, str]
    """What comes before a member's name, between its name and its value, and after."""
    separator: str
    """What comes between items or members."""


class RecordEncoder:
    """Writes values. Keeps the wire form of records: each is encoded once until it changes.

    ``samples`` gives the values of a record's sampled fields; they are written anew when it gives another sequence.
    ``budget``: how many bytes of records are kept; the oldest are dropped first.
    """

    syntax: ClassVar[Syntax]

    def __init__(self, samples: Callable[[Record], Sequence[Any]], budget: int = BUDGET) -> None:
        self._samples = samples
        self._budget = budget
        self._separator = self.syntax.separator.encode()
        self._texts: dict[Type, Text] = dict(self.syntax.scalars)
        self._writers: dict[Type, Writer] = {}
        self._shapes: dict[str, _Shape] = {}
        self._fragments: OrderedDict[str, _Kept] = OrderedDict()
        self._held = 0

    def pieces(self, value: Any, kind: Type) -> Iterator[bytes]:
        """Return a value in pieces that need no joining."""
        return self._writer(kind)(value)

    # Values that hold records, in pieces: a record is one, what holds none is one

    def _writer(self, kind: Type) -> Writer:
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = self._make_writer(kind)
        return writer

    def _make_writer(self, kind: Type) -> Writer:
        if isinstance(kind, RecordType):
            return self._write_record
        if not _holds_records(kind):
            text = self._text(kind)
            return lambda value: iter((text(value).encode(),))
        if isinstance(kind, Set):
            return self._set_writer(kind)
        if isinstance(kind, Map):
            return self._map_writer(kind)
        if isinstance(kind, Structure):
            return self._structure_writer(kind)
        raise TypeError(f"{kind.name} cannot be written")

    def _set_writer(self, kind: Set) -> Writer:
        write_item, (begin, end) = self._writer(kind.of), self.syntax.array

        def write(value: Any) -> Iterator[bytes]:
            yield begin.encode()
            for number, item in enumerate(value):
                if number and self._separator:
                    yield self._separator
                yield from write_item(item)
            yield end.encode()

        return write

    def _map_writer(self, kind: Map) -> Writer:
        write_item, name = self._writer(kind.value), self.syntax.name

        def write(value: Any) -> Iterator[bytes]:
            return self._members((name(str(key)), write_item, item) for key, item in value.items())

        return write

    def _structure_writer(self, kind: Structure) -> Writer:
        writers = [(self.syntax.name(name), name, self._writer(of)) for name, of in kind.members]

        def write(value: Any) -> Iterator[bytes]:
            return self._members((text, write, value[name]) for text, name, write in writers if name in value)

        return write

    def _members(self, members: Iterable[tuple[str, Writer, Any]]) -> Iterator[bytes]:
        begin, end = self.syntax.struct
        before, between, after = self.syntax.member
        opening = begin
        for name, write, value in members:
            yield f"{opening}{before}{name}{between}".encode()
            yield from write(value)
            opening = after + self.syntax.separator
        yield f"{begin if opening is begin else after}{end}".encode()

    # Values that hold no records, as text

    def _text(self, kind: Type) -> Text:
        text = self._texts.get(kind)
        if text is None:
            text = self._texts[kind] = self._make_text(kind)
        return text

    def _make_text(self, kind: Type) -> Text:
        if isinstance(kind, Set):
            return self._set_text(kind)
        if isinstance(kind, Map):
            return self._map_text(kind)
        if isinstance(kind, Structure):
            return self._structure_text(kind)
        return self.syntax.other

    def _set_text(self, kind: Set) -> Text:
        item, syntax, (begin, end) = self._text(kind.of), self.syntax, self.syntax.array

        def text(value: Any) -> str:
            return f"{begin}{syntax.separator.join(map(item, value))}{end}" if value else syntax.no_items

        return text

    def _map_text(self, kind: Map) -> Text:
        item, name = self._text(kind.value), self.syntax.name

        def text(value: Any) -> str:
            return self._struct([self._member(name(str(key)), item(member)) for key, member in value.items()])

        return text

    def _structure_text(self, kind: Structure) -> Text:
        texts = [(self.syntax.name(name), name, self._text(of)) for name, of in kind.members]

        def text(value: Any) -> str:
            return self._struct([self._member(told, item(value[name])) for told, name, item in texts if name in value])

        return text

    def _member(self, name: str, text: str) -> str:
        before, between, after = self.syntax.member
        return f"{before}{name}{between}{text}{after}"

    def _struct(self, members: list[str]) -> str:
        begin, end = self.syntax.struct
        return f"{begin}{self.syntax.separator.join(members)}{end}" if members else self.syntax.no_members

    # Records

    def _write_record(self, record: Record) -> Iterator[bytes]:
        shape = self._shapes.get(record.cls)
        if shape is None:
            shape = self._shapes[record.cls] = _Shape(record, self.syntax, self._text)
        kept = self._fragments.get(record.ref)
        if kept is None or kept.record is not record:
            kept = _Kept(record, shape.fragment(record))
            if shape.public:
                self._keep(kept)
        yield kept.fragment
        if shape.sampled:
            samples = self._samples(record)
            if samples is not kept.samples:
                kept.samples, kept.rest = samples, shape.rest(samples)
            yield kept.rest

    def _keep(self, kept: _Kept) -> None:
        record = kept.record
        replaced = self._fragments.pop(record.ref, None)
        if replaced is not None:
            self._held -= len(replaced.fragment)
        if record.row == 0:  # not of the store, so nobody will ask for this very record again
            return
        self._fragments[record.ref] = kept
        self._held += len(kept.fragment)
        while self._held > self._budget:
            _, dropped = self._fragments.popitem(last=False)
            self._held -= len(dropped.fragment)


@dataclass(slots=True)
class _Kept:
    """The wire form of a record."""

    record: Record
    fragment: bytes
    samples: Sequence[Any] | None = None
    """The samples that ``rest`` is made of."""
    rest: bytes = b""


class _Shape:
    """How records of a class are written: the state fields as one fragment, then the sampled ones."""

    def __init__(self, record: Record, syntax: Syntax, text: Callable[[Type], Text]) -> None:
        fields = [field for field in record.shape.fields.values() if not field.internal]
        self.public = getattr(record.shape, "readers", READ_ONLY) is READ_ONLY
        """Everybody may read such records: only they are kept."""
        index, (before, between, self._after) = record.shape.index, syntax.member
        self.sampled = [
            (f"{before}{syntax.name(field.name)}{between}", text(field.type)) for field in fields if field.sampled
        ]
        self._members = [
            (index[field.name], f"{before}{syntax.name(field.name)}{between}", text(field.type))
            for field in fields
            if not field.sampled
        ]
        self._separator = syntax.separator
        self._begin, self._end = syntax.struct[0], "" if self.sampled else syntax.struct[1]
        self._joint = syntax.separator if self._members else ""
        """What comes between the fragment and the sampled members."""
        self._close = syntax.struct[1]

    def fragment(self, record: Record) -> bytes:
        """Return a record's struct; only its beginning, up to the sampled fields, if it has such."""
        values = record.values
        members = [f"{start}{text(values[position])}{self._after}" for position, start, text in self._members]
        return f"{self._begin}{self._separator.join(members)}{self._end}".encode()

    def rest(self, samples: Sequence[Any]) -> bytes:
        """Return the rest of a record's struct: its sampled fields."""
        told = zip(self.sampled, samples, strict=True)
        members = [f"{start}{text(value)}{self._after}" for (start, text), value in told]
        return f"{self._joint}{self._separator.join(members)}{self._close}".encode()


def _holds_records(kind: Type) -> bool:
    if isinstance(kind, RecordType):
        return True
    if isinstance(kind, Set):
        return _holds_records(kind.of)
    if isinstance(kind, Map):
        return _holds_records(kind.value)
    return isinstance(kind, Structure) and any(_holds_records(member) for _, member in kind.members)
