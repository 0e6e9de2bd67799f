"""Faults that users ask for, as keys of ``other_config``: of a VM, or of a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)


def _times(text: str) -> float:
    return float(int(text))


def _flag(text: str) -> float:
    return {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}[text.lower()]


@dataclass(frozen=True)
class Fault:
    """A fault that can be asked for."""

    cls: str
    """The class whose ``other_config`` has the key."""
    doc: str
    read: Callable[[str], float]
    """Reads the value; ValueError or KeyError if it makes no sense."""
    most: float = 1e6
    """Values go from 0, which is no fault, to this."""


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "sim:fail_boot": Fault("VM", "how many of the next starts fail; counts down", _times),
        "sim:crash_after": Fault("VM", "seconds after its start at which the guest crashes", float),
        "sim:hang_on_shutdown": Fault("VM", '"true": the guest does not answer when it is asked to shut down', _flag),
        "sim:slow_disk": Fault("VM", "how many times as long the disks take", float),
        "sim:fail": Fault("host", '"true": the host has failed, until the key goes', _flag),
    }
)
"""All faults, by key."""


def asked(cls: str, other_config: Mapping[str, str], key: str) -> float:
    """Return the value of a fault that an object's ``other_config`` asks for, 0 for none."""
    text, fault = other_config.get(key), FAULTS[key]
    if text is None or fault.cls != cls:
        return 0.0
    try:
        value = fault.read(text)
    except (ValueError, KeyError):
        value = -1.0
    if not 0.0 <= value <= fault.most:
        _log.warning("fault_ignored", key=key, value=text, reason="the value makes no sense")
        return 0.0
    return value


class Faults(Protocol):
    """The faults of the VMs of a pool."""

    def of(self, uuid: str, key: str) -> float:
        """Return the value of a VM's fault, 0 for none."""

    def spend(self, uuid: str, key: str) -> None:
        """Count a VM's fault down by one; at 0 it goes."""


class NoFaults:
    """A pool in which nothing fails."""

    def of(self, uuid: str, key: str) -> float:
        """Return 0: there is no fault."""
        return 0.0

    def spend(self, uuid: str, key: str) -> None:
        """There is nothing to count down."""
