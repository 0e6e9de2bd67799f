"""Which data sources of ``/rrd_updates`` tell what the fields of records do not.

Servers of today (XenServer, XCP-ng) still have the fields of ``*_metrics``, but most never change: what such servers
measure are data sources. These are read for the fields that do not move, and for what never was a field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xenapi_client import Record, Updates, Version

KIB = 1024
EACH = "#"
"""At the end of the name of a data source: there is one per number, and the field is a map from numbers to values."""


@dataclass(frozen=True)
class Source:
    """A data source of a machine or a host, and what its value is multiplied by to be that of the field."""

    name: str
    """With fields of the measured object in braces."""
    factor: float = 1.0

    def read(self, told: Mapping[str, float], measured: Record) -> Any:
        """Return the value of the field; None if the data source is not there."""
        name = self.name.format_map(measured)
        if name.endswith(EACH):
            stem = name.removesuffix(EACH)
            numbers = {each.removeprefix(stem): each for each in told if each.startswith(stem)}
            return {number: told[each] * self.factor for number, each in numbers.items() if number.isdigit()} or None
        return told[name] * self.factor if name in told else None


@dataclass(frozen=True)
class Told:
    """What data sources tell of the objects of a class."""

    measured: str
    """The class of the objects that are measured; those of ``*_metrics`` only hold what was measured."""
    owner: str
    """The reference to the machine or host whose data sources they are, which has the name of the class that it leads
    to; "" if the measured object is that."""
    fields: Mapping[str, Source]
    has_records: bool = True
    """Whether the Xen-API has fields of these names."""

    def missing(self, records: Mapping[str, Record]) -> Sequence[str]:
        """Return the fields that move in no record."""
        return [name for name in self.fields if not any(_moves(each.get(name)) for each in records.values())]

    def fill(
        self, cls: str, records: Mapping[str, Record], missing: Sequence[str], updates: Updates, version: Version
    ) -> Mapping[str, Record]:
        """Return the records of a class with the fields that data sources tell, and the moment at which they were.

        Of machines and hosts of which nothing is told these fields are unknown, not the zeros that are in the records.
        """
        filled = dict(records)
        for ref, measured in version.records(self.measured).items():
            target = ref if cls == self.measured else measured.get("metrics")
            if target is None or (self.has_records and target not in records):
                continue
            owner = version.get(self.owner, measured[self.owner]) if self.owner else measured
            told = updates.of(self.owner or self.measured, owner["uuid"]) if owner is not None else {}
            known = {"device": measured.get("device") or measured.get("userdevice"), "number": measured.get("number")}
            read = {name: self.fields[name].read(told, known) for name in missing}
            values = {name: value for name, value in read.items() if value is not None}
            if not told and target in records:
                filled[target] = {**records[target], **dict.fromkeys(missing)}
            elif values:
                filled[target] = {**records.get(target, {}), **values, "last_updated": updates.moment}
        return filled


def _moves(value: Any) -> bool:
    return any(map(_moves, value.values())) if isinstance(value, Mapping) else bool(value) and float(value) != 0


def _rates(device: str, read: str, written: str) -> Mapping[str, Source]:
    return {
        "io_read_kbs": Source(f"{device}_{{device}}_{read}", 1 / KIB),
        "io_write_kbs": Source(f"{device}_{{device}}_{written}", 1 / KIB),
    }


DATA_SOURCES: Mapping[str, Told] = {
    "VBD": Told(
        "VBD",
        "VM",
        {
            "read_latency": Source("vbd_{device}_read_latency"),
            "write_latency": Source("vbd_{device}_write_latency"),
        },
        has_records=False,
    ),
    "VBD_metrics": Told("VBD", "VM", _rates("vbd", "read", "write")),
    "VIF_metrics": Told("VIF", "VM", _rates("vif", "rx", "tx")),
    "PIF_metrics": Told("PIF", "host", _rates("pif", "rx", "tx")),
    "VM_metrics": Told("VM", "", {"VCPUs_utilisation": Source(f"cpu{EACH}")}),
    "host_cpu": Told("host_cpu", "host", {"utilisation": Source("cpu{number}")}),
}
"""By the class whose records are sampled."""
