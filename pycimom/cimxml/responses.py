"""The message around an answer (DSP0203 3.2). wbemcli cannot read IRETURNVALUE and *RESPONSE as empty-element tags."""

from __future__ import annotations

from collections.abc import Sequence

from cim_provider import CimError
from pycimom.cimxml.requests import Call
from pycimom.cimxml.scalars import escape, escape_attribute

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE'
_TAIL = b"</SIMPLERSP></MESSAGE></CIM>\n"


def answer(call: Call, content: Sequence[bytes]) -> list[bytes]:
    """Return the message that answers a call, in pieces."""
    element = "IMETHODRESPONSE" if call.target is None else "METHODRESPONSE"
    head = (
        f'{_HEAD} ID="{escape_attribute(call.message_id)}" PROTOCOLVERSION="1.0"><SIMPLERSP>'
        f'<{element} NAME="{escape_attribute(call.name)}">'
    )
    return [head.encode(), *content, f"</{element}>".encode() + _TAIL]


def return_value(content: Sequence[bytes]) -> list[bytes]:
    """Return IRETURNVALUE in pieces."""
    return [b"<IRETURNVALUE>", *content, b"</IRETURNVALUE>"]


def output(name: str, cim_type: str, text: str | None) -> bytes:
    """Return an output parameter of an intrinsic method; None for NULL."""
    value = "" if text is None else f"<VALUE>{escape(text)}</VALUE>"
    return f'<PARAMVALUE NAME="{name}" PARAMTYPE="{cim_type}">{value}</PARAMVALUE>'.encode()


def error(problem: CimError) -> bytes:
    """Return ERROR."""
    return f'<ERROR CODE="{int(problem.status)}" DESCRIPTION="{escape_attribute(problem.description)}"/>'.encode()


def class_path(class_name: str, namespace_path: str) -> bytes:
    """Return CLASSPATH."""
    return f'<CLASSPATH>{namespace_path}<CLASSNAME NAME="{escape_attribute(class_name)}"/></CLASSPATH>'.encode()


def class_name_element(class_name: str) -> bytes:
    """Return CLASSNAME."""
    return f'<CLASSNAME NAME="{escape_attribute(class_name)}"/>'.encode()
