"""XML-RPC: requests as clients write them, answers as clients read them."""

from __future__ import annotations

import xmlrpc.client
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_core.datamodel import RO, Int32, Record, RecordOf, XenClass, field
from xenapi_core.datamodel.types import VOID, of
from xenapi_core.limits import DEFAULT
from xenapi_core.wire.codec import MalformedError
from xenapi_core.wire.xmlrpc import Encoder, decode

xml_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)] + ["￾", "￿"])
)
wire_values = st.recursive(
    xml_text | st.integers(-(1 << 31), (1 << 31) - 1) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(xml_text, inner, max_size=4),
    max_leaves=20,
)


def as_text(value: Any) -> Any:
    """Return a value with its scalars as their texts, which is how requests are read."""
    if isinstance(value, list):
        return [as_text(item) for item in value]
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, bool):
        return "1" if value else "0"
    return None if value is None else str(value)


@given(st.lists(wire_values, max_size=4))
def test_what_python_writes_is_read(parameters):
    incoming = decode(xmlrpc.client.dumps(tuple(parameters), "VM.start", allow_none=True).encode())
    assert incoming.method == "VM.start"
    assert incoming.parameters == as_text(parameters)


@given(st.dictionaries(xml_text, st.lists(xml_text, max_size=3), max_size=3))
def test_python_reads_what_is_written(value):
    kind = of(dict[str, list[str]])
    body = b"".join(Encoder(lambda record: ()).success(value, kind))
    assert xmlrpc.client.loads(body)[0][0] == {"Status": "Success", "Value": value}


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "a<b>&\r", "<value>a&lt;b&gt;&amp;&#13;</value>"),
        (str, "\x00x\x1f\ufffe", "<value>x</value>"),
        (str, "", "<value></value>"),
        (int, -(1 << 40), "<value>-1099511627776</value>"),
        (Annotated[int, Int32()], 7, "<value><i4>7</i4></value>"),
        (float, 0.1, "<value><double>0.1</double></value>"),
        (bool, True, "<value><boolean>1</boolean></value>"),
        (
            datetime,
            datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
            "<value><dateTime.iso8601>20240102T03:04:05Z</dateTime.iso8601></value>",
        ),
        (list[str], (), "<value><array><data/></array></value>"),
        (list[int], (1,), "<value><array><data><value>1</value></data></array></value>"),
        (dict[str, str], {}, "<value><struct/></value>"),
        (
            dict[int, bool],
            {0: False},
            "<value><struct><member><name>0</name><value><boolean>0</boolean></value></member></struct></value>",
        ),
        (None, None, ""),
    ],
)
def test_values_have_the_form_that_every_client_reads(annotation, value, expected):
    assert Encoder(lambda record: ()).text(value, of(annotation)) == expected


def test_an_answer_is_one_param_with_two_members_and_no_white_space():
    body = b"".join(Encoder(lambda record: ()).success("x", of(str)))
    assert body == (
        b'<?xml version="1.0"?><methodResponse><params><param><value><struct>'
        b"<member><name>Status</name><value>Success</value></member>"
        b"<member><name>Value</name><value>x</value></member>"
        b"</struct></value></param></params></methodResponse>"
    )
    assert b"<member><name>Value</name><value></value></member>" in b"".join(
        Encoder(lambda record: ()).success(None, VOID)
    )


def test_an_error_is_its_code_and_its_parameters():
    body = b"".join(Encoder(lambda record: ()).failure(["HANDLE_INVALID", "VM", "a&b"]))
    answer = xmlrpc.client.loads(body)[0][0]
    assert answer == {"Status": "Failure", "ErrorDescription": ["HANDLE_INVALID", "VM", "a&b"]}
    assert list(answer) == ["Status", "ErrorDescription"]


def call(value: str) -> bytes:
    return f"<methodCall><methodName>m</methodName><params><param>{value}</param></params></methodCall>".encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<value>plain</value>", "plain"),
        ("<value> kept </value>", " kept "),
        ("<value/>", ""),
        ("<value>\n  <string> kept </string>\n</value>", " kept "),
        ("<value><i8>\n 5 </i8></value>", "5"),
        ("<value><int>007</int></value>", "007"),
        ("<value><double>1.5</double></value>", "1.5"),
        ("<value><dateTime.iso8601>2024-01-01T00:00:00</dateTime.iso8601></value>", "2024-01-01T00:00:00"),
        ("<value><nil/></value>", None),
        ("<value><base64>w6Q=</base64></value>", "ä"),
        ("<value><array/></value>", []),
        ("<value><array><data/></array></value>", []),
        ("<value><array><param><value>a</value></param><param><value>b</value></param></array></value>", ["a", "b"]),
        ("<value>\n<array>\n<data>\n<value>a</value>\n</data>\n</array>\n</value>", ["a"]),
        ("<value><struct>\n<member>\n<name>k</name>\n<value>v</value>\n</member>\n</struct></value>", {"k": "v"}),
        ("<value><struct/></value>", {}),
        ("<value><!-- a remark -->x</value>", "x"),
    ],
)
def test_requests_of_all_known_clients_are_read(value, expected):
    assert decode(call(value)).parameters == [expected]


def test_a_call_without_parameters_is_read():
    assert decode(b"<methodCall><methodName> m </methodName></methodCall>").method == "m"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<methodCall>",
        b"<methodResponse/>",
        b"<methodCall/>",
        b"<methodCall><methodName/></methodCall>",
        b"\xff\xfe\x00",
        call("<other/>"),
        call("<value><struct><member><name>k</name></member></struct></value>"),
        call("<value><struct><member><value>v</value></member></struct></value>"),
        call("<value><colour>red</colour></value>"),
        call("<value><base64>!</base64></value>"),
        call("<value><string><b>x</b></string></value>"),
        call("<value><array><data>" * (DEFAULT.nesting + 1) + "</data></array></value>" * (DEFAULT.nesting + 1)),
        call("<value><array><data>" * 5000 + "</data></array></value>" * 5000),
        b'<?xml version="1.0"?><!DOCTYPE methodCall><methodCall><methodName>m</methodName></methodCall>',
        b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + call("<value>&b;</value>"),
        b'<!DOCTYPE m [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + call("<value>&f;</value>"),
        call("<value>&undeclared;</value>"),
    ],
)
def test_what_is_no_call_is_refused_with_a_sentence(body):
    with pytest.raises(MalformedError, match=r"^[A-Z].*\.$"):
        decode(body)


def outcome(body: bytes) -> str:
    """Return the method of a call, or "refused"; any other exception is a fault of the reader."""
    try:
        return decode(body).method
    except MalformedError:
        return "refused"


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: call(text)))
def test_whatever_comes_is_read_or_refused(body):
    assert outcome(body)


MARKUP = [
    "<value>",
    "</value>",
    "<array>",
    "</array>",
    "<data>",
    "<struct>",
    "<member>",
    "<name>k</name>",
    "<int>",
    "x",
]


@given(st.lists(st.sampled_from([*MARKUP, "</struct>", "</member>", "</data>", "</int>", "<value/>", "&lt;", "&x;"])))
def test_whatever_markup_comes_is_read_or_refused(pieces):
    assert outcome(call("".join(pieces))) in ("m", "refused")


class Gauge(XenClass):
    """Something with state and samples."""

    uuid: str = field(RO)
    label: str = field(RO, default="x")
    reading: float = field(RO, sampled=True)
    secret: str = field(RO, default="hidden", internal=True)


def test_the_wire_form_of_a_record_is_kept_and_its_samples_are_not():
    samples = [1.0]
    encoder = Encoder(lambda record: tuple(samples))
    record = Record(Gauge.definition, "OpaqueRef:1", 1, ("u", "x", 0.0, "hidden"))
    kind = of(Annotated[dict[str, Any], RecordOf("Gauge")])
    first = list(encoder.success(record, kind))
    samples[0] = 2.0
    second = list(encoder.success(record, kind))
    assert first[1] is second[1]
    assert xmlrpc.client.loads(b"".join(second))[0][0]["Value"] == {"uuid": "u", "label": "x", "reading": 2.0}
    changed = Record(Gauge.definition, "OpaqueRef:1", 1, ("u", "y", 0.0, "hidden"))
    assert xmlrpc.client.loads(b"".join(encoder.success(changed, kind)))[0][0]["Value"]["label"] == "y"


def test_kept_records_stay_within_their_budget():
    encoder = Encoder(lambda record: (0.0,), budget=1000)
    kind = of(Annotated[dict[str, Any], RecordOf("Gauge")])
    records = [Record(Gauge.definition, f"OpaqueRef:{n}", n, ("u", "x" * 100, 0.0, "")) for n in range(1, 100)]
    kept = [list(encoder.success(record, kind))[1] for record in records]
    assert list(encoder.success(records[-1], kind))[1] is kept[-1]
    assert list(encoder.success(records[0], kind))[1] is not kept[0]
