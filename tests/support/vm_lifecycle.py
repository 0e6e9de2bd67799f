"""The lifecycle of a VM as a table, and what holds whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from xenapi_core.datamodel import NULL, XenApiError

NEXT = {
    ("start", "Halted"): "Running",
    ("start paused", "Halted"): "Paused",
    ("start_on", "Halted"): "Running",
    ("pause", "Running"): "Paused",
    ("unpause", "Paused"): "Running",
    ("suspend", "Running"): "Suspended",
    ("resume", "Suspended"): "Running",
    ("resume paused", "Suspended"): "Paused",
    ("resume_on", "Suspended"): "Running",
    ("clean_shutdown", "Running"): "Halted",
    ("clean_reboot", "Running"): "Running",
    ("shutdown", "Running"): "Halted",
    ("shutdown", "Paused"): "Halted",
    ("shutdown", "Suspended"): "Halted",
    ("hard_shutdown", "Running"): "Halted",
    ("hard_shutdown", "Paused"): "Halted",
    ("hard_shutdown", "Suspended"): "Halted",
    ("hard_reboot", "Running"): "Running",
    ("hard_reboot", "Paused"): "Running",
    ("power_state_reset", "Halted"): "Halted",
    ("power_state_reset", "Running"): "Halted",
    ("power_state_reset", "Paused"): "Halted",
    ("power_state_reset", "Suspended"): "Halted",
}
"""What each call leads to; from every other state it is refused."""

CALLS = sorted({call for call, _ in NEXT})
POWER_STATES = ("Halted", "Paused", "Running", "Suspended")

EXPECTED = {
    "start": "halted",
    "start_on": "halted",
    "pause": "running",
    "unpause": "paused",
    "suspend": "running",
    "resume": "suspended",
    "resume_on": "suspended",
    "clean_shutdown": "running",
    "clean_reboot": "running",
    "shutdown": "paused, suspended, running",
    "hard_shutdown": "paused, suspended, running, crashed",
    "hard_reboot": "paused, running, crashed",
}
"""What the error about a wrong power state names as expected."""


@contextmanager
def refusal(code: str) -> Iterator[None]:
    """Expect an error with a code."""
    with pytest.raises(XenApiError) as refused:
        yield
    assert refused.value.code == code


async def perform(pool: Any, call: str, vm: str) -> None:
    """Send the message of a call."""
    operation, _, paused = call.partition(" ")
    arguments: list[Any] = [vm]
    if operation.endswith("_on"):
        arguments.append(next(iter(pool.fleet)))
    if operation in ("start", "start_on", "resume", "resume_on"):
        arguments.append(bool(paused))
    await pool.do(f"VM.{operation}", *arguments)


def check_consistent(pool: Any) -> None:
    """Check that all that follows from power states and claims holds."""
    held = dict.fromkeys(pool.fleet, 0)
    for vm in pool.store.records("VM"):
        up = vm["power_state"] in ("Running", "Paused", "Crashed")
        assert (vm["resident_on"] != NULL) == up
        assert (vm["domid"] >= 0) == up
        assert not vm["current_operations"]
        assert vm["scheduled_to_be_resident_on"] == NULL
        assert (vm["suspend_VDI"] != NULL) == (vm["power_state"] == "Suspended")
        assert vm["metrics"] == NULL or (pool.record(vm["metrics"])["VCPUs_number"] > 0) == up
        for device in (*vm["VBDs"], *vm["VIFs"]):
            assert pool.record(device)["currently_attached"] == up
        if up:
            held[vm["resident_on"]] += vm["memory_target"] + vm["memory_overhead"]
            assert vm.ref in pool.record(vm["resident_on"])["resident_VMs"]
        if up and not vm["is_control_domain"]:
            domain = pool.fleet[vm["resident_on"]].domains()[vm["uuid"]]
            assert (domain.domid, domain.memory) == (vm["domid"], vm["memory_target"])
            assert (domain.guest is not None) == (vm["guest_metrics"] != NULL)
        elif not up:
            assert vm["guest_metrics"] == NULL
    for host, memory in held.items():
        record = pool.record(host)
        metrics = pool.record(record["metrics"])
        assert metrics["memory_free"] == metrics["memory_total"] - record["memory_overhead"] - memory
    assert len(list(pool.store.records("VM_guest_metrics"))) == sum(
        vm["guest_metrics"] != NULL for vm in pool.store.records("VM")
    )
    for sr in pool.store.records("SR"):
        images = [pool.record(vdi) for vdi in sr["VDIs"]]
        assert sr["physical_utilisation"] == sum(image["physical_utilisation"] for image in images)
