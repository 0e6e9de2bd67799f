"""The codec against Python's own xmlrpc."""

from __future__ import annotations

import xmlrpc.client
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_client.errors import XenApiUnavailable
from xenapi_client.xmlrpc import XmlRpcFaultError, decode_response, encode_call

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r<>&'\"")
)
VALUES = st.recursive(
    st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(VALUES, max_size=4))
def test_what_is_sent_is_what_a_foreign_parser_reads(parameters):
    decoded, method = xmlrpc.client.loads(encode_call("VM.x", tuple(parameters)))
    assert method == "VM.x"
    assert list(decoded) == parameters


@given(VALUES)
def test_what_a_foreign_writer_sends_is_read(value):
    body = xmlrpc.client.dumps((value,), methodresponse=True).replace("\r", "&#13;").encode()
    assert decode_response(body) == value


def test_integers_travel_as_strings():
    assert xmlrpc.client.loads(encode_call("x", (2**62, -1)))[0] == (str(2**62), "-1")


def test_times_are_sent_in_utc():
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert b"<dateTime.iso8601>20260102T01:04:05Z</dateTime.iso8601>" in encode_call("x", (moment,))


def answer(value: str) -> bytes:
    return f"<methodResponse><params><param>{value}</param></params></methodResponse>".encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<value>plain</value>", "plain"),
        ("<value></value>", ""),
        ("<value/>", ""),
        ("<value><string/></value>", ""),
        ("<value><i4>12</i4></value>", "12"),
        ("<value><int>-3</int></value>", "-3"),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><double>0.25</double></value>", 0.25),
        ("<value><nil/></value>", ""),
        ("<value><array><data/></array></value>", []),
        ("<value><array><data><value>a</value> <value>b</value></data></array></value>", ["a", "b"]),
        ("<value><struct></struct></value>", {}),
        ("<value>\n<struct>\n<member>\n<name>a</name>\n<value>b</value></member></struct></value>", {"a": "b"}),
        ("<value>a&amp;b &lt; <!-- no --> c</value>", "a&b <  c"),
        (
            "<value><dateTime.iso8601>20260131T23:59:58</dateTime.iso8601></value>",
            datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC),
        ),
        (
            "<value><dateTime.iso8601>20260131T23:59:58Z</dateTime.iso8601></value>",
            datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC),
        ),
        (
            "<value><dateTime.iso8601>2026-01-31T23:59:58Z</dateTime.iso8601></value>",
            datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC),
        ),
    ],
)
def test_all_dialects_are_read(text, value):
    assert decode_response(answer(text)) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>500</body></html>",
        b"<methodResponse>",
        b"<methodResponse/>",
        b"<methodResponse><params/></methodResponse>",
        answer("<value><double>many</double></value>"),
        answer("<value><carpet/></value>"),
        answer("<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>"),
        answer("<value><struct><member/></struct></value>"),
    ],
)
def test_nonsense_is_one_clear_error(body):
    with pytest.raises(XenApiUnavailable, match="answer is not"):
        decode_response(body)


def test_a_document_type_is_refused(tmp_path):
    (tmp_path / "file").write_text("secret")
    body = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{tmp_path}/file">]>'.encode() + answer("<value>&e;</value>")
    with pytest.raises(XenApiUnavailable, match="document type"):
        decode_response(body)


def test_a_fault_is_an_error():
    with pytest.raises(XmlRpcFaultError, match="not this way"):
        decode_response(xmlrpc.client.dumps(xmlrpc.client.Fault(1, "not this way"), methodresponse=True).encode())


@pytest.mark.parametrize("value", [None, object(), {1, 2}, b"bytes"])
def test_what_has_no_encoding_is_refused(value):
    with pytest.raises(TypeError, match="cannot be sent"):
        encode_call("x", (value,))


@pytest.mark.parametrize("value", ["\x00", "a\x1b", "\uffff", float("nan"), float("inf"), datetime(2026, 1, 1)])
def test_what_xml_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match=r"cannot be sent|no time zone"):
        encode_call("x", (value,))
