"""XML-RPC as the Xen-API speaks it: bytes of a call, and the value in an answer.

The encodings are those of the Xen-API (reference/xenapi-semantics.md, 2), not those of plain XML-RPC: integers travel
as decimal strings, and stay strings in what is decoded, because only the datamodel of the server knows which strings
are integers. A string is untagged, void is an empty string.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from xenapi_client.errors import XenApiUnavailable


class XmlRpcFaultError(Exception):
    """The server found the request itself malformed (XML-RPC ``fault``)."""


def encode_call(method: str, parameters: tuple[object, ...]) -> bytes:
    """Return the request that calls ``method``; TypeError or ValueError names a parameter that has no encoding."""
    encoded = "".join(f"<param><value>{_encode(value)}</value></param>" for value in parameters)
    call = f"<methodCall><methodName>{escape(method)}</methodName><params>{encoded}</params></methodCall>"
    return f'<?xml version="1.0"?>{call}'.encode()


def _encode(value: object) -> str:
    match value:
        case bool():
            return f"<boolean>{int(value)}</boolean>"
        case int():
            return f"<string>{value}</string>"
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} cannot be sent over XML-RPC.")
            return f"<double>{value!r}</double>"
        case str():
            return f"<string>{_text(value)}</string>"
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{value} has no time zone.")
            return f"<dateTime.iso8601>{value.astimezone(UTC):%Y%m%dT%H:%M:%SZ}</dateTime.iso8601>"
        case Mapping():
            members = "".join(
                f"<member><name>{_text(str(name))}</name><value>{_encode(each)}</value></member>"
                for name, each in value.items()
            )
            return f"<struct>{members}</struct>"
        case list() | tuple():
            return f"<array><data>{''.join(f'<value>{_encode(each)}</value>' for each in value)}</data></array>"
        case _:
            raise TypeError(f"A {type(value).__name__} cannot be sent over XML-RPC.")


def _text(text: str) -> str:
    """Escape text; a carriage return would become a line feed on the way, so it goes as a character reference."""
    wrong = next((char for char in text if (char < " " and char not in "\t\n\r") or char in "\ufffe\uffff"), None)
    if wrong is not None:
        raise ValueError(f"The character U+{ord(wrong):04X} cannot be sent in XML.")
    return escape(text, {"\r": "&#13;"})


def decode_response(body: bytes) -> Any:
    """Return the value that an answer carries: str, bool, float, datetime (UTC), list or dict.

    XmlRpcFaultError if it is a fault, XenApiUnavailable if it is no XML-RPC answer.
    """
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise XenApiUnavailable(f"The answer is not well-formed XML: {error}.") from None
    try:
        if root.getroottree().docinfo.doctype:
            raise ValueError("it declares a document type")
        if root.tag != "methodResponse":
            raise ValueError(f"the document is a {root.tag!r}")
        if root[0].tag == "fault":
            fault = _value(root[0][0])
            raise XmlRpcFaultError(str(fault["faultString"]))
        return _value(root[0][0][0])
    except (LookupError, ValueError, TypeError) as error:
        raise XenApiUnavailable(f"The answer is not XML-RPC: {error}.") from None


def _value(value: etree._Element) -> Any:
    for child in value:
        return _DECODERS[child.tag](child)
    return value.text or ""  # untagged: a string


def _string(node: etree._Element) -> str:
    return node.text or ""


def _array(node: etree._Element) -> list[Any]:
    return [_value(each) for data in node for each in data]


def _struct(node: etree._Element) -> dict[str, Any]:
    return {member[0].text or "": _value(member[1]) for member in node}


def _datetime(node: etree._Element) -> datetime:
    """Read both forms in use: 20260131T23:59:59 and the same with Z, each in UTC."""
    moment = datetime.fromisoformat(node.text or "")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_DECODERS: dict[Any, Any] = {
    "string": _string,
    "struct": _struct,
    "array": _array,
    "boolean": lambda node: node.text in ("1", "true"),
    "int": _string,
    "i4": _string,
    "i8": _string,
    "double": lambda node: float(node.text or ""),
    "dateTime.iso8601": _datetime,
    "nil": lambda node: "",
}
