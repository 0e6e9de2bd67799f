"""What data sources told, read from the answers to /rrd_updates."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_client import XenApiUnavailable
from xenapi_client.rrd import parse_updates

NAMES = st.sampled_from(["cpu0", "cpu1", "memory", "vbd_xvda_read", "with:colon"])
COLUMNS = st.lists(st.tuples(st.sampled_from(["vm", "host"]), st.uuids().map(str), NAMES), unique=True, max_size=6)
CELLS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 10**12).map(float))


def document(columns: list[tuple[str, str, str]], rows: dict[int, list[float]]) -> bytes:
    root = ElementTree.Element("xport")
    legend = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "legend")
    for column in columns:
        ElementTree.SubElement(legend, "entry").text = ":".join(("AVERAGE", *column))
    data = ElementTree.SubElement(root, "data")
    for moment, cells in rows.items():
        row = ElementTree.SubElement(data, "row")
        ElementTree.SubElement(row, "t").text = str(moment)
        for cell in cells:
            ElementTree.SubElement(row, "v").text = repr(cell)
    return ElementTree.tostring(root)


@given(data=st.data(), columns=COLUMNS, moments=st.lists(st.integers(0, 2**32), unique=True, min_size=1, max_size=4))
def test_of_each_column_the_newest_number_counts_in_whatever_order_rows_come(data, columns, moments):
    rows = {moment: [data.draw(CELLS) for _ in columns] for moment in moments}
    updates = parse_updates(document(columns, rows))
    assert updates.moment.timestamp() == max(moments)
    for at, (cls, uuid, name) in enumerate(columns):
        numbers = [rows[moment][at] for moment in sorted(rows) if math.isfinite(rows[moment][at])]
        assert updates.of(cls, uuid).get(name) == (numbers[-1] if numbers else None)


def test_what_nobody_told_is_not_there():
    updates = parse_updates(document([], {}))
    assert (updates.moment.timestamp(), updates.of("vm", "nobody")) == (0, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"<xport><data>",
        b"<!DOCTYPE xport [<!ENTITY a 'b'>]><xport/>",
        b"<xport><meta><legend><entry>too:few</entry></legend></meta><data><row><t>1</t><v>1</v></row></data></xport>",
        b"<xport><data><row><t>1</t><v>1</v></row></data></xport>",
        b"<xport><data><row><t>soon</t></row></data></xport>",
        b"<xport><data><row><t>9999999999999999</t></row></data></xport>",
        document([("vm", "a", "b")], {1: []}),
        document([("vm", "a", "b")], {1: [1.0]}).replace(b"1.0", b"much"),
        b"<a>" * 100_000,
    ],
)
def test_what_is_no_export_is_refused(body):
    with pytest.raises(XenApiUnavailable, match="no export of data sources"):
        parse_updates(body)
