"""The metric service through CIM-XML, beside what the Xen-API itself tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pywbem
from lxml import etree
from pywbem import Uint32

from tests.support.management import INVALID_PARAMETER, OK, named, system


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_MetricService")


def entries(outputs: Any) -> list[list[str]]:
    return [each.text.split(":") for each in etree.fromstring(outputs["Metrics"].encode()).iter("entry")]


def test_what_a_machine_that_runs_does(call, xenapi):
    ref, record = next(
        (ref, each)
        for ref, each in xenapi.VM.get_all_records().items()
        if each["power_state"] == "Running" and not each["is_control_domain"]
    )
    value, outputs = call("GetPerformanceMetricsForSystem", System=system(record["uuid"]))
    assert value == OK
    told = entries(outputs)
    assert {(kind, uuid) for _, kind, uuid, _ in told} == {("vm", record["uuid"])}
    assert [name for *_, name in told] == [each["name_label"] for each in xenapi.VM.get_data_sources(ref)]


def test_what_was_recorded_is_told_since_a_moment(call, xenapi, until):
    ref, record = next(
        (ref, each)
        for ref, each in xenapi.VM.get_all_records().items()
        if each["power_state"] == "Running" and not each["is_control_domain"]
    )
    xenapi.VM.record_data_source(ref, "memory")
    try:
        asked = {"System": record["uuid"], "TimeDuration": Uint32(1)}

        def rows() -> list[Any]:
            _, outputs = call("GetPerformanceMetricsForSystem", **asked)
            return list(etree.fromstring(outputs["Metrics"].encode()).iter("row"))

        until(lambda: len(rows()) > 2, "two seconds are recorded")
        later = pywbem.CIMDateTime(datetime.now(UTC).replace(year=2100))
        value, outputs = call("GetPerformanceMetricsForSystem", System=record["uuid"], StartTime=later)
        assert (value, len(list(etree.fromstring(outputs["Metrics"].encode()).iter("row")))) == (OK, 1)
    finally:
        xenapi.VM.forget_data_source_archives(ref, "memory")


def test_what_hosts_do(call, xenapi):
    host = next(iter(xenapi.host.get_all_records().values()))
    path = named("Xen_HostComputerSystem", CreationClassName="Xen_HostComputerSystem", Name=host["uuid"])
    value, outputs = call("GetPerformanceMetricsForSystem", System=path)
    told = entries(outputs)
    assert (value, {kind for _, kind, *_ in told}) == (OK, {"host"})
    assert host["uuid"] in {uuid for _, _, uuid, _ in told}


def test_what_is_wrong(call, halted_vm, xenapi):
    interval = pywbem.CIMDateTime("00000001000000.000000:000")
    for wrong in ({}, {"System": "nobody"}, {"System": xenapi.VM.get_uuid(halted_vm), "StartTime": interval}):
        assert call("GetPerformanceMetricsForSystem", **wrong) == (INVALID_PARAMETER, {}), wrong
