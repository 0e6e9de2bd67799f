"""What the mapping must know of the Xen-API: where references lead, and when a state began."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from xen_providers.expressions import Expression, computed, constant

REFERENCES: Mapping[str, Mapping[str, str]] = {
    "VM": {
        "VBDs": "VBD",
        "VIFs": "VIF",
        "affinity": "host",
        "children": "VM",
        "guest_metrics": "VM_guest_metrics",
        "metrics": "VM_metrics",
        "parent": "VM",
        "resident_on": "host",
    },
    "host": {"metrics": "host_metrics"},
    "task": {"other_config/xen-cim:affected_host": "host", "other_config/xen-cim:affected_vm": "VM"},
}
"""By class: the class that each reference (or set of references) leads to. Only those that an expression follows."""

LAST_CHANGE = "last change"
"""After a timed state, this step finds when the state was last seen to change: ``("power_state", LAST_CHANGE)``."""


def _start_of_domain(power_state: str | None, start_time: datetime | None) -> datetime | None:
    return start_time if power_state in ("Running", "Paused", "Crashed") else None


TIMED: Mapping[str, Mapping[str, Expression]] = {
    "VM": {"power_state": computed(_start_of_domain, "power_state", "metrics.start_time")},
    "host": {"enabled": constant(None)},
}
"""By class: the states whose changes are timed, each with the time that is taken when an object is first seen."""
