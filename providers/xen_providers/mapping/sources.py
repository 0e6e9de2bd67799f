"""What the mapping must know of the Xen-API: where references lead, when a state began, which fields are sampled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from xen_providers.mapping.expressions import Expression, computed, constant

REFERENCES: Mapping[str, Mapping[str, str]] = {
    "Bond": {"master": "PIF", "slaves": "PIF"},
    "PBD": {"SR": "SR", "host": "host"},
    "PIF": {
        "VLAN_master_of": "VLAN",
        "bond_master_of": "Bond",
        "bond_slave_of": "Bond",
        "host": "host",
        "metrics": "PIF_metrics",
        "network": "network",
    },
    "SR": {"PBDs": "PBD", "VDIs": "VDI"},
    "VBD": {"VDI": "VDI", "VM": "VM", "metrics": "VBD_metrics"},
    "VDI": {"SR": "SR", "VBDs": "VBD"},
    "VIF": {"VM": "VM", "metrics": "VIF_metrics", "network": "network"},
    "VLAN": {"tagged_PIF": "PIF", "untagged_PIF": "PIF"},
    "VM": {
        "VBDs": "VBD",
        "VIFs": "VIF",
        "affinity": "host",
        "children": "VM",
        "guest_metrics": "VM_guest_metrics",
        "metrics": "VM_metrics",
        "parent": "VM",
        "resident_on": "host",
        "snapshot_of": "VM",
        "snapshots": "VM",
        "suspend_VDI": "VDI",
    },
    "console": {"VM": "VM"},
    "host": {"PIFs": "PIF", "control_domain": "VM", "host_CPUs": "host_cpu", "metrics": "host_metrics"},
    "host_cpu": {"host": "host"},
    "network": {"PIFs": "PIF", "VIFs": "VIF"},
    "pool": {"default_SR": "SR", "master": "host"},
    "task": {"other_config/xen-cim:affected_host": "host", "other_config/xen-cim:affected_vm": "VM"},
}
"""By class: the class that each reference (or set of references) leads to, as far as expressions follow them."""

LAST_CHANGE = "last change"
"""After a timed state, this step finds when the state was last seen to change: ``("power_state", LAST_CHANGE)``."""


def _start_of_domain(power_state: str | None, start_time: datetime | None) -> datetime | None:
    return start_time if power_state in ("Running", "Paused", "Crashed") else None


TIMED: Mapping[str, Mapping[str, Expression]] = {
    "VM": {"power_state": computed(_start_of_domain, "power_state", "metrics.start_time")},
    "host": {"enabled": constant(None)},
}
"""By class: the states whose changes are timed, each with the time that is taken when an object is first seen."""

SAMPLED: Mapping[str, frozenset[str]] = {
    "VM_metrics": frozenset({"VCPUs_utilisation", "last_updated", "memory_actual"}),
    "VBD": frozenset({"read_latency", "write_latency"}),
    "VBD_metrics": frozenset({"io_read_kbs", "io_write_kbs", "last_updated"}),
    "VIF_metrics": frozenset({"io_read_kbs", "io_write_kbs", "last_updated"}),
    "PIF_metrics": frozenset({"io_read_kbs", "io_write_kbs", "last_updated"}),
    "host_cpu": frozenset({"utilisation"}),
    "host_metrics": frozenset({"last_updated", "memory_free"}),
}
"""By class: the fields whose changes raise no event, but are read in bulk while somebody asks.

VBD has none in the Xen-API: what is sampled of it are data sources alone (see data_sources.py)."""
