"""Fixtures for tests of the whole bridge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


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
