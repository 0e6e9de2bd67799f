"""XML-RPC: request bodies to calls, results to bodies.

Requests are read leniently (Xen-API clients differ, see ``datamodel.types``): every scalar is handed on as its text,
and the declared type says what X
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from lxml import etree

from xenapi_core.datamodel.record import Record
from xenapi_core.datamodel.types import (
    BOOL,
    DATETIME,
    FLOAT,
    INT32,
    Map,
    RecordType,
    Set,
    Structure,
    Type,
    Void,
)
from xenapi_core.wire.codec import Incoming, MalformedError

MAX_DEPTH = 32
"""How deep values of a request may be nested."""

CONTENT_TYPE = "text/xml"

_PROLOG = '<?xml version="1.0"?>'
_ANSWER = f"{_PROLOG}<methodResponse><params><param>", "</param></params></methodResponse>"
_STATUS = "<value><struct><member><name>Status</name><value>{}</value></member><member><name>{}</name>"
_SUCCESS = (_ANSWER[0] + _STATUS.format("Success", "Value")).encode()
_FAILURE = (_ANSWER[0] + _STATUS.format("Failure", "ErrorDescription")).encode()
_END = ("</member></struct></value>" + _ANSWER[1]).encode()

# --- requests


def decode(body: bytes) -> Incoming:
    """Return the call that a request body asks for; MalformedError if it is none."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedError(f"The request is not well-formed XML: {error}.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedError("A document type declaration is not accepted.")
    if root.tag != "methodCall":
        raise MalformedError("The request is no methodCall.")
    name = root.findtext("methodName")
    if not name or not name.strip():
        raise MalformedError("The methodCall has no methodName.")
    values = [_only(param, "value") for param in root.iterfind("params/param")]
    return Incoming(name.strip(), [_decoded(value, MAX_DEPTH) for value in values])


def _only(parent: etree._Element, tag: str) -> etree._Element:
    child = parent.find(tag)
    if child is None:
        raise MalformedError(f"A {parent.tag!s} has no {tag}.")
    return child


def _decoded(value: etree._Element, depth: int) -> Any:
    if depth == 0:
        raise MalformedError(f"Values are nested deeper than {MAX_DEPTH} levels.")
    if len(value) == 0:
        return _text(value)
    typed = value[0]
    if typed.tag == "array":
        return [_decoded(item, depth - 1) for item in _items(typed)]
    if typed.tag == "struct":
        return {_name(member): _decoded(_only(member, "value"), depth - 1) for member in typed.iterfind("member")}
    return _scalar(typed)


def _items(array: etree._Element) -> Iterator[etree._Element]:
    """Yield the values of an array: in its data, in params (libxen), or right inside it."""
    for child in array:
        if child.tag == "value":
            yield child
        elif child.tag in ("data", "param"):
            yield from child.iterfind("value")


def _name(member: etree._Element) -> str:
    return _text(_only(member, "name"))


def _scalar(typed: etree._Element) -> str | None:
    match typed.tag:
        case "string":
            return _text(typed)
        case "int" | "i4" | "i8" | "boolean" | "double" | "dateTime.iso8601":
            return _text(typed).strip()
        case "nil" | "{http://ws.apache.org/xmlrpc/namespaces/extensions}nil":
            return None
        case "base64":
            try:
                return base64.b64decode("".join(_text(typed).split()), validate=True).decode()
            except (binascii.Error, ValueError) as error:
                raise MalformedError("A base64 value is no encoded UTF-8 text.") from error
    raise MalformedError(f"The type {typed.tag!s} is not known.")


def _text(element: etree._Element) -> str:
    if len(element):
        raise MalformedError(f"A {element.tag!s} holds more than text.")
    return element.text or ""


# --- answers

_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


def escaped(text: str) -> str:
    """Return a text as XML can hold it; characters that XML cannot say are dropped."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _ESCAPED.get(match.group(), ""), text)


def _moment(value: datetime) -> str:
    return f"<value><dateTime.iso8601>{value:%Y%m%dT%H:%M:%SZ}</dateTime.iso8601></value>"


def _plain(value: Any) -> str:
    return f"<value>{escaped(str(value))}</value>"


_SCALARS: dict[Type, Callable[[Any], str]] = {
    BOOL: lambda value: f"<value><boolean>{1 if value else 0}</boolean></value>",
    FLOAT: lambda value: f"<value><double>{value:.16g}</double></value>",
    INT32: lambda value: f"<value><i4>{value}</i4></value>",
    DATETIME: _moment,
}

Writer = Callable[[Any], Iterator[bytes]]


class Encoder:
    """Writes values of declared types. Keeps the wire form of records: each is encoded once until it changes.

    ``budget``: how many bytes of records are kept; the oldest are dropped first. ``sampled``: reads a sampled field
    of a record; those are written anew each time.
    """

    content_type = CONTENT_TYPE

    def __init__(self, sampled: Callable[[Record, str], Any], budget: int = 384 * 1024 * 1024) -> None:
        self._sampled = sampled
        self._budget = budget
        self._texts: dict[Type, Callable[[Any], str]] = dict(_SCALARS)
        self._writers: dict[Type, Writer] = {}
        self._shapes: dict[str, _Shape] = {}
        self._fragments: OrderedDict[str, tuple[Record, bytes]] = OrderedDict()
        self._held = 0

    def success(self, value: Any, kind: Type) -> Iterator[bytes]:
        """Yield the body of an answer with a value."""
        yield _SUCCESS
        yield from self._writer(kind)(value)
        yield _END

    def failure(self, description: Sequence[str]) -> list[bytes]:
        """Return the body of an answer with an error."""
        items = "".join(map(_plain, description))
        return [_FAILURE, f"<value><array><data>{items}</data></array></value>".encode(), _END]

    def bare(self, value: Any, kind: Type) -> Iterator[bytes]:
        """Yield the body of an answer that is a value without a status, as XML-RPC's own system.* messages give."""
        yield _ANSWER[0].encode()
        yield from self._writer(kind)(value)
        yield _ANSWER[1].encode()

    def fault(self, error: MalformedError) -> list[bytes]:
        """Return the body that tells that a request was malformed."""
        text = escaped(str(error))
        members = (
            f"<member><name>faultCode</name><value><int>{error.code}</int></value></member>"
            f"<member><name>faultString</name><value>{text}</value></member>"
        )
        fault = f"<fault><value><struct>{members}</struct></value></fault>"
        return [f"{_PROLOG}<methodResponse>{fault}</methodResponse>".encode()]

    def text(self, value: Any, kind: Type) -> str:
        """Return a value as the text of its ``value`` element; empty for void. This is the form of ``task.result``."""
        if isinstance(kind, Void):
            return ""
        return b"".join(self._writer(kind)(value)).decode()

    def _writer(self, kind: Type) -> Writer:
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = self._make_writer(kind)
        return writer

    def _make_writer(self, kind: Type) -> Writer:
        """Return what writes values in pieces: a record is one, what holds no records is one."""
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
        write_item = self._writer(kind.of)

        def write(value: Any) -> Iterator[bytes]:
            yield b"<value><array><data>"
            for item in value:
                yield from write_item(item)
            yield b"</data></array></value>"

        return write

    def _map_writer(self, kind: Map) -> Writer:
        write_item = self._writer(kind.value)

        def write(value: Any) -> Iterator[bytes]:
            yield b"<value><struct>"
            for key, item in value.items():
                yield f"<member><name>{escaped(str(key))}</name>".encode()
                yield from write_item(item)
                yield b"</member>"
            yield b"</struct></value>"

        return write

    def _structure_writer(self, kind: Structure) -> Writer:
        plain = [(name, self._text(of)) for name, of in kind.members if not _holds_records(of)]
        others = [(name, self._writer(of)) for name, of in kind.members if _holds_records(of)]

        def write(value: Any) -> Iterator[bytes]:
            members = "".join([_member(name, text(value[name])) for name, text in plain if name in value])
            yield f"<value><struct>{members}".encode()
            for name, write_member in others:
                if name in value:
                    yield f"<member><name>{name}</name>".encode()
                    yield from write_member(value[name])
                    yield b"</member>"
            yield b"</struct></value>"

        return write

    def _text(self, kind: Type) -> Callable[[Any], str]:
        text = self._texts.get(kind)
        if text is None:
            text = self._texts[kind] = self._make_text(kind)
        return text

    def _make_text(self, kind: Type) -> Callable[[Any], str]:
        if isinstance(kind, Void):
            return lambda value: "<value></value>"
        if isinstance(kind, Set):
            return self._set_text(kind)
        if isinstance(kind, Map):
            return self._map_text(kind)
        if isinstance(kind, Structure):
            members = [(name, self._text(of)) for name, of in kind.members]
            return lambda value: _struct((name, text(value[name])) for name, text in members if name in value)
        return _plain

    def _set_text(self, kind: Set) -> Callable[[Any], str]:
        item = self._text(kind.of)

        def text(value: Any) -> str:
            if not value:
                return "<value><array><data/></array></value>"
            return f"<value><array><data>{''.join(map(item, value))}</data></array></value>"

        return text

    def _map_text(self, kind: Map) -> Callable[[Any], str]:
        item = self._text(kind.value)

        def text(value: Any) -> str:
            if not value:
                return "<value><struct/></value>"
            return _struct((escaped(str(key)), item(member)) for key, member in value.items())

        return text

    def _write_record(self, record: Record) -> Iterator[bytes]:
        shape = self._shapes.get(record.cls)
        if shape is None:
            shape = self._shapes[record.cls] = _Shape(record, self._text)
        kept = self._fragments.get(record.ref)
        if kept is not None and kept[0] is record:
            yield kept[1]
        else:
            fragment = shape.fragment(record)
            self._keep(record, fragment)
            yield fragment
        if shape.sampled:
            members = "".join([_member(name, text(self._sampled(record, name))) for name, text in shape.sampled])
            yield f"{members}</struct></value>".encode()

    def _keep(self, record: Record, fragment: bytes) -> None:
        replaced = self._fragments.pop(record.ref, None)
        if replaced is not None:
            self._held -= len(replaced[1])
        if record.row == 0:  # not of the store, so nobody will ask for this very record again
            return
        self._fragments[record.ref] = record, fragment
        self._held += len(fragment)
        while self._held > self._budget:
            _, (_, dropped) = self._fragments.popitem(last=False)
            self._held -= len(dropped)


class _Shape:
    """How records of a class are written: the state fields as one fragment, then the sampled ones."""

    def __init__(self, record: Record, text: Callable[[Type], Callable[[Any], str]]) -> None:
        fields = [field for field in record.shape.fields.values() if not field.internal]
        index = record.shape.index
        self.sampled = [(field.name, text(field.type)) for field in fields if field.sampled]
        self._members = [
            (index[field.name], f"<member><name>{field.name}</name>", text(field.type))
            for field in fields
            if not field.sampled
        ]

    def fragment(self, record: Record) -> bytes:
        """Return a record's struct; only its beginning, up to the sampled fields, if it has such."""
        values = record.values
        members = [f"{start}{text(values[position])}</member>" for position, start, text in self._members]
        return f"<value><struct>{''.join(members)}{'' if self.sampled else '</struct></value>'}".encode()


def _member(name: str, text: str) -> str:
    return f"<member><name>{name}</name>{text}</member>"


def _struct(members: Iterable[tuple[str, str]]) -> str:
    return f"<value><struct>{''.join([_member(name, text) for name, text in members])}</struct></value>"


def _holds_records(kind: Type) -> bool:
    if isinstance(kind, RecordType):
        return True
    if isinstance(kind, Set):
        return _holds_records(kind.of)
    if isinstance(kind, Map):
        return _holds_records(kind.value)
    return isinstance(kind, Structure) and any(_holds_records(member) for _, member in kind.members)
