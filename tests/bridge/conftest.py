"""Fixtures for tests of the whole bridge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pywbem

from tests.support.management import COMPLETED, EXCEPTION, JOB, OK, PV, settings, system


def wait_until(condition: Callable[[], Any], what: str, limit: float = 20.0) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {limit} s: {what}")


@pytest.fixture
def until() -> Callable[..., Any]:
    """wait_until, for tests of processes that only a clock can watch."""
    return wait_until


@pytest.fixture
def xenapi(bridge) -> Iterator[Any]:
    """The `xenapi` of a logged-in PyPI XenAPI session over TCP."""
    session = bridge.xenapi()
    yield session.xenapi
    session.xenapi.session.logout()


@pytest.fixture
def halted_vm(xenapi) -> Iterator[str]:
    """The reference of a halted VM; halted again afterwards."""
    candidates = [
        ref
        for ref in xenapi.VM.get_all()
        if (record := xenapi.VM.get_record(ref))["power_state"] == "Halted" and not record["is_a_template"]
    ]
    ref = candidates[-1]
    yield ref
    if xenapi.VM.get_power_state(ref) != "Halted":
        xenapi.VM.hard_shutdown(ref)


@pytest.fixture
def wbem(bridge) -> Iterator[pywbem.WBEMConnection]:
    """A WBEM connection of the administrator."""
    with bridge.wbem() as connection:
        yield connection


@pytest.fixture
def call_of(wbem) -> Callable[[str], Callable[..., tuple[int, Any]]]:
    """Give the function that calls methods of a class's only instance; it returns their value and outputs."""

    def call_of(class_name: str) -> Callable[..., tuple[int, Any]]:
        (name,) = wbem.EnumerateInstanceNames(class_name)
        return lambda method, **parameters: wbem.InvokeMethod(method, name, [], **parameters)

    return call_of


@pytest.fixture
def done(wbem) -> Callable[[Any], pywbem.CIMInstance]:
    """Wait until the job that a method began has ended; return it."""

    def done(answer: tuple[int, Any]) -> pywbem.CIMInstance:
        value, outputs = answer
        assert value == JOB, outputs
        job = wbem.GetInstance(outputs["Job"])
        assert job["JobState"] in (4, COMPLETED, EXCEPTION)  # never New
        return wait_until(
            lambda: (now := wbem.GetInstance(outputs["Job"]))["JobState"] in (COMPLETED, EXCEPTION) and now, "job ends"
        )

    return done


@pytest.fixture
def everything(xenapi) -> Callable[[], dict[str, set[str]]]:
    """All objects that methods could leave behind, by class."""
    classes = ("VM", "VBD", "VIF", "VDI", "console", "network", "SR", "PBD", "VLAN", "Bond")
    return lambda: {cls: set(getattr(xenapi, cls).get_all()) for cls in classes}


@pytest.fixture
def vm(xenapi, call_of) -> Iterator[str]:
    """A machine of the test's own, whose guest can do everything: its reference; gone afterwards."""
    call = call_of("Xen_VirtualSystemManagementService")
    value, outputs = call("DefineSystem", SystemSettings=settings(**PV))
    assert value == OK
    ref = xenapi.VM.get_by_uuid(outputs["ResultingSystem"]["Name"])
    yield ref
    if xenapi.VM.get_power_state(ref) != "Halted":
        xenapi.VM.hard_shutdown(ref)
    assert call("DestroySystem", AffectedSystem=system(xenapi.VM.get_uuid(ref)))[0] == OK


@pytest.fixture
def storage(xenapi) -> tuple[str, str]:
    """The storage repository for disks: reference and uuid."""
    ref = xenapi.pool.get_default_SR(xenapi.pool.get_all()[0])
    return ref, xenapi.SR.get_uuid(ref)


@pytest.fixture
def network(xenapi) -> tuple[str, str]:
    """A network that leads out of the hosts: reference and uuid."""
    ref = next(ref for ref, each in xenapi.network.get_all_records().items() if each["PIFs"])
    return ref, xenapi.network.get_uuid(ref)
