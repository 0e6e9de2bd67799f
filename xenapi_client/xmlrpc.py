"""XML-RPC as the Xen-API speaks it: bytes of a call, and the value in an answer.

The encodings are those of the Xen-API (reference/xenapi-semantics.md, 2), not those of plain XML-RPC: integers travel
as decimal strings, and stay strings in what is decoded, because only the datamodel of the server knows which strings
are integers. A string is untagged, void is an empty string.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
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


class ResponseDecoder:
    """Reads an answer while it arrives.

    Each struct becomes a dict, and its XML is dropped, as soon as it ends: the answer of event.from for a large pool
    has hundreds of megabytes, and its tree would have ten times as many.
    """

    def __init__(self) -> None:
        self._parser = etree.XMLPullParser(
            ["end"], tag="struct", huge_tree=True, resolve_entities=False, no_network=True, remove_comments=True
        )
        self._structs: dict[etree._Element, dict[str, Any]] = {}
        """Structs that have ended, until the value around them is read."""
        self._texts: dict[str, str] = {}
        """Short texts, each once: most are the same few."""

    def feed(self, data: bytes) -> None:
        """Read the next part; XenApiUnavailable if the answer turns out to be none."""
        try:
            self._parser.feed(data)
            for _, element in self._parser.read_events():
                self._structs[element] = {sys.intern(each[0].text or ""): self._value(each[1]) for each in element}
                element.clear()
        except etree.XMLSyntaxError as error:
            raise XenApiUnavailable(f"The answer is not well-formed XML: {error}.") from None
        except (LookupError, ValueError, TypeError) as error:
            raise XenApiUnavailable(f"The answer is not XML-RPC: {error}.") from None

    def close(self) -> Any:
        """Return the value of the answer: str, bool, float, datetime (UTC), list or dict.

        XmlRpcFaultError if it is a fault, XenApiUnavailable if it is no XML-RPC answer.
        """
        try:
            root = self._parser.close()
            if root.getroottree().docinfo.doctype:
                raise ValueError("it declares a document type")
            if root.tag != "methodResponse":
                raise ValueError(f"the document is a {root.tag!r}")
            if root[0].tag == "fault":
                raise XmlRpcFaultError(str(self._value(root[0][0])["faultString"]))
            return self._value(root[0][0][0])
        except etree.XMLSyntaxError as error:
            raise XenApiUnavailable(f"The answer is not well-formed XML: {error}.") from None
        except (LookupError, ValueError, TypeError) as error:
            raise XenApiUnavailable(f"The answer is not XML-RPC: {error}.") from None

    def _value(self, value: etree._Element) -> Any:
        for child in value:
            tag = child.tag
            if tag == "struct":
                return self._structs.pop(child)
            if tag == "array":
                return [self._value(each) for data in child for each in data]
            return _SCALARS[tag](child.text or "")
        text = value.text or ""  # untagged: a string
        return self._texts.setdefault(text, text) if len(text) <= SHORT else text


SHORT = 16
"""Characters of the longest text that is worth looking up."""


def _datetime(text: str) -> datetime:
    """Read both forms in use: 20260131T23:59:59 and the same with Z, each in UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_SCALARS: dict[Any, Callable[[str], Any]] = {
    "string": str,
    "boolean": lambda text: text in ("1", "true"),
    "int": str,
    "i4": str,
    "i8": str,
    "double": float,
    "dateTime.iso8601": _datetime,
    "nil": str,
}


def decode_response(body: bytes) -> Any:
    """Return the value of a whole answer; see ResponseDecoder."""
    decoder = ResponseDecoder()
    decoder.feed(body)
    return decoder.close()
