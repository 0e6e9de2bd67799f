"""XML-RPC: request bodies to calls, results to bodies.

Requests are read leniently (Xen-API clients differ, see ``datamodel.types``): every scalar is handed on as its text,
and the declared type says what X
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from lxml import etree

from xenapi_core.datamodel.types import BOOL, DATETIME, FLOAT, INT32, VOID, Type, Void
from xenapi_core.limits import DEFAULT, Limits
from xenapi_core.wire.codec import Incoming, MalformedError, holds_more
from xenapi_core.wire.encoder import RecordEncoder, Syntax

CONTENT_TYPE = "text/xml"

_PROLOG = '<?xml version="1.0"?>'
_ANSWER = f"{_PROLOG}<methodResponse><params><param>", "</param></params></methodResponse>"
_STATUS = "<value><struct><member><name>Status</name><value>{}</value></member><member><name>{}</name>"
_SUCCESS = (_ANSWER[0] + _STATUS.format("Success", "Value")).encode()
_FAILURE = (_ANSWER[0] + _STATUS.format("Failure", "ErrorDescription")).encode()
_END = ("</member></struct></value>" + _ANSWER[1]).encode()

# --- requests

_TAGS = 8
"""Tags of a value that is a struct's member."""
_LONG_TAG = re.compile(rb"<[^<>]{4096}")
_ENCODING = re.compile(rb"""<\?xml[^>]{0,99}?\sencoding\s*=\s*["']([^"']*)""")
_COUNTABLE = re.compile(rb"utf-?8|utf-?16|(us-)?ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
"""Encodings in which each < is seen as that byte."""


def decode(body: bytes, limits: Limits = DEFAULT) -> Incoming:
    """Return the call that a request body asks for; MalformedError if it is none."""
    _check_size(body, limits)
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
    return Incoming(name.strip(), [_decoded(value, limits.nesting) for value in values])


def _check_size(body: bytes, limits: Limits) -> None:
    """Refuse a request that would take long to read, at the price of a few searches."""
    declared = _ENCODING.search(body, 0, 200)
    if declared is not None and _COUNTABLE.fullmatch(declared[1]) is None:
        raise MalformedError("The encoding of the request is not known; UTF-8 is.")
    if b"<" not in body.lstrip()[:8]:
        raise MalformedError("The request is not well-formed XML.")
    if any(holds_more(body, [sign], _TAGS * limits.values) for sign in (b"<", b">")):
        raise MalformedError(f"The request holds more than {limits.values} values.")
    if _LONG_TAG.search(body):
        raise MalformedError("A tag of the request is too long.")


def _only(parent: etree._Element, tag: str) -> etree._Element:
    child = parent.find(tag)
    if child is None:
        raise MalformedError(f"A {parent.tag!s} has no {tag}.")
    return child


def _decoded(value: etree._Element, depth: int) -> Any:
    if depth == 0:
        raise MalformedError("Values are nested too deeply.")
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


_SYNTAX = Syntax(
    scalars={
        BOOL: lambda value: f"<value><boolean>{1 if value else 0}</boolean></value>",
        FLOAT: lambda value: f"<value><double>{value:.16g}</double></value>",
        INT32: lambda value: f"<value><i4>{value}</i4></value>",
        DATETIME: _moment,
        VOID: lambda value: "<value></value>",
    },
    other=_plain,
    name=escaped,
    array=("<value><array><data>", "</data></array></value>"),
    no_items="<value><array><data/></array></value>",
    struct=("<value><struct>", "</struct></value>"),
    no_members="<value><struct/></value>",
    member=("<member><name>", "</name>", "</member>"),
    separator="",
)


class Encoder(RecordEncoder):
    """Writes XML-RPC answers."""

    content_type = CONTENT_TYPE
    syntax = _SYNTAX

    def success(self, value: Any, kind: Type) -> Iterator[bytes]:
        """Yield the body of an answer with a value."""
        yield _SUCCESS
        yield from self.pieces(value, kind)
        yield _END

    def failure(self, description: Sequence[str]) -> list[bytes]:
        """Return the body of an answer with an error."""
        items = "".join(map(_plain, description))
        return [_FAILURE, f"<value><array><data>{items}</data></array></value>".encode(), _END]

    def bare(self, value: Any, kind: Type) -> Iterator[bytes]:
        """Yield the body of an answer that is a value without a status, as XML-RPC's own system.* messages give."""
        yield _ANSWER[0].encode()
        yield from self.pieces(value, kind)
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
        return b"".join(self.pieces(value, kind)).decode()
