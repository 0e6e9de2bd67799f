"""Values survive the way to a client and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import pywbem
from hypothesis import given
from hypothesis import strategies as st

from cim_provider import Instance, InstanceName
from pycimom.cimxml import scalars
from pycimom.cimxml.reading import Reader
from pycimom.cimxml.requests import BadMessageError, parse_call, parse_document
from pycimom.cimxml.writing import Writer

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff")).filter(
    lambda text: all(each in "\t\n\r" or ord(each) >= 32 for each in text)
)
ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)
INTERVALS = st.timedeltas(timedelta(0), timedelta(days=99_999_999))
VALUES = {
    "Caption": TEXT,
    "Name": TEXT,
    "Number": st.integers(0, 65535),
    "Flag": st.booleans(),
    "S8": st.integers(-128, 127),
    "S64": st.integers(-(2**63), 2**63 - 1),
    "U64": st.integers(0, 2**64 - 1),
    "R32": st.floats(width=32, allow_nan=False),
    "R64": st.floats(allow_nan=False),
    "Since": MOMENTS,
    "Uptime": INTERVALS,
    "Words": st.lists(st.none() | TEXT),
    "Codes": st.lists(st.integers(0, 65535)),
    "Flags": st.lists(st.booleans()),
}
SYSTEMS = st.fixed_dictionaries(
    {name: VALUES[name] for name in ("Name", "Number")},
    optional={name: each for name, each in VALUES.items() if name not in ("Name", "Number")},
)
NAMESPACE = "root/cimv2"


def written(fixed_schema, properties, **more):
    return Writer(fixed_schema).instance(Instance("T_System", {**properties, **more}), NAMESPACE)


@given(SYSTEMS)
def test_what_is_written_is_read_again(fixed_schema, properties):
    inner = Instance("T_Setting", {"InstanceID": properties["Name"], "Level": 1})
    text = written(fixed_schema, properties, Setting=inner, Settings=[inner, inner])
    declared, values = Reader(fixed_schema, NAMESPACE).instance(parse_document(text.encode()), "it")
    setting, settings = values.pop("Setting"), values.pop("Settings")
    assert declared.name == "T_System"
    assert {name: value for name, value in values.items() if value is not None} == properties
    assert [dict(each.properties) for each in (setting, *settings)] == [dict(inner.properties)] * 3


@given(SYSTEMS)
def test_pywbem_reads_what_is_written(fixed_schema, properties):
    text = written(fixed_schema, properties)
    tree = pywbem._tupletree.xml_to_tupletree_sax(text, "test")
    found = pywbem._tupleparse.TupleParser().parse_instance(tree)
    for name in properties:
        expected, value = properties[name], found[name]
        if isinstance(expected, datetime):
            value = value.datetime
        elif isinstance(expected, timedelta):
            value = value.timedelta
        if name == "R32":
            expected = pytest.approx(expected, rel=1e-7)
        assert value == expected, name


@given(TEXT, st.integers(0, 65535))
def test_names_are_read_again(fixed_schema, text, number):
    name = InstanceName("T_System", (("Name", text), ("Number", number)))
    written_name = parse_document(Writer(fixed_schema).name(name, NAMESPACE).encode())
    assert Reader(fixed_schema, NAMESPACE).instance_name(written_name, "it") == name
    link = InstanceName("T_Link", (("Antecedent", name.within(NAMESPACE)), ("Dependent", name.within("far/away"))))
    written_link = parse_document(Writer(fixed_schema).name(link, NAMESPACE).encode())
    found = Reader(fixed_schema, NAMESPACE).instance_name(written_link, "it")
    assert found.identity == link.identity
    assert found.get("Dependent").namespace == "far/away"


@given(st.text())
def test_any_string_gives_xml(text):
    assert parse_document(f"<A>{scalars.escape(text)}</A>".encode()).tag == "A"
    assert parse_document(f'<A B="{scalars.escape_attribute(text)}"/>'.encode()).get("B") is not None


@given(st.binary())
def test_no_body_breaks_the_parser(body):
    with pytest.raises(BadMessageError):
        parse_call(body)


@given(st.sampled_from(["uint8", "sint64", "boolean", "real32", "datetime", "char16"]), st.text(max_size=30))
def test_a_text_is_a_value_or_an_error(cim_type, text):
    try:
        value = scalars.parse(cim_type, text)
    except (ValueError, OverflowError):
        return
    again = scalars.parse(
        cim_type,
        scalars.writer(cim_type)(value)
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#13;", "\r"),
    )
    assert again == value or value != value or "\ufffd" in str(again)


@pytest.mark.parametrize(
    ("cim_type", "text", "value"),
    [
        ("uint8", " 0x1F ", 31), ("sint8", "-128", -128), ("sint16", "+5", 5), ("real64", "1e3", 1000.0),
        ("real32", "INF", float("inf")), ("boolean", "True", True),
        ("datetime", "20260228******.******+060", datetime(2026, 2, 28, tzinfo=timezone(timedelta(hours=1)))),
        ("datetime", "00000001020304.000005:000", timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=5)),
        ("datetime", "20260228120000.000000+000", datetime(2026, 2, 28, 12, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_spellings(cim_type, text, value):
    assert scalars.parse(cim_type, text) == value


@pytest.mark.parametrize(
    ("cim_type", "text"),
    [
        ("uint8", "256"), ("uint8", "-1"), ("sint8", "128"), ("uint32", "1.0"), ("uint32", ""), ("uint32", "٣"),
        ("uint64", "9" * 5000), ("boolean", "1"), ("real64", "1,5"), ("datetime", "2026"), ("char16", "ab"),
        ("datetime", "20261328120000.000000+000"), ("datetime", "00000001990304.000005:000"), ("real32", "1e39"),
    ],
)  # fmt: skip
def test_texts_that_are_no_values(cim_type, text):
    with pytest.raises(ValueError):  # noqa: PT011
        scalars.parse(cim_type, text)
