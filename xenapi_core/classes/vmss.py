"""A schedule by which snapshots of VMs are made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from xenapi_core.classes import power, snapshots
from xenapi_core.datamodel import (
    EPOCH,
    POOL_ADMIN,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import VMRef, VMSSRef


class vmss_type(StrEnum):
    """What a schedule makes."""

    snapshot = "snapshot"
    checkpoint = "checkpoint"
    snapshot_with_quiesce = "snapshot_with_quiesce"


class vmss_frequency(StrEnum):
    """How often a schedule is due."""

    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"


VMSSRecord = Annotated[dict[str, Any], RecordOf("VMSS")]

MOST_RETAINED = 10
"""How many snapshots of each VM a schedule can keep."""

MINUTES = ("0", "15", "30", "45")
HOURS = tuple(str(hour) for hour in range(24))
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

KEYS: Mapping[vmss_frequency, Mapping[str, tuple[str, ...]]] = {
    vmss_frequency.hourly: {"min": MINUTES},
    vmss_frequency.daily: {"hour": HOURS, "min": MINUTES},
    vmss_frequency.weekly: {"hour": HOURS, "min": MINUTES, "days": DAYS},
}
"""What a schedule of each frequency says, and what may be said; days are a list with commas."""


class VMSS(XenClass, role=POOL_OPERATOR, destroyable=True):
    """A schedule by which snapshots of VMs are made."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    enabled: bool = field(RW, default=True, doc="whether snapshots are made by it")
    type: vmss_type = field(STATIC, doc="whether disks alone are kept, or memory as well")
    retained_snapshots: int = field(STATIC, default=7, doc="how many snapshots of each VM are kept; older ones go")
    frequency: vmss_frequency = field(STATIC, doc="how often snapshots are made")
    schedule: dict[str, str] = field(STATIC, default={}, doc="when: min, hour and days")
    last_run_time: datetime = field(RO, default=EPOCH, doc="when snapshots were made last")
    VMs: list[VMRef] = reverse("VM", "snapshot_schedule", doc="the VMs of which snapshots are made")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE",))
    def create(call: Call, args: VMSSRecord) -> VMSSRef:
        """Make a schedule and return its reference; type and frequency have to be given."""
        for name in ("type", "frequency"):
            if name not in args:
                raise XenApiError("INVALID_VALUE", name, "")
        _check_type(args["type"])
        _check_retained(args.get("retained_snapshots", 7))
        schedule = _checked(args["frequency"], {**_first(args["frequency"]), **args.get("schedule", {})})
        with call.store.write() as change:
            return change.create("VMSS", {**args, "schedule": schedule})

    @message(role=POOL_OPERATOR, errors=("OPERATION_NOT_ALLOWED", "SR_FULL"))
    async def snapshot_now(call: Call, vmss: VMSSRef) -> str:
        """Make a snapshot of each VM of a schedule now. Returns a text that tells how many were made."""
        record = call.record(vmss, "VMSS")
        for number, vm in enumerate(record["VMs"]):
            await _take(call, record["type"], vm)
            _forget_old(call, vm, record["retained_snapshots"])
            call.task.progress((number + 1) / len(record["VMs"]))
        _set(call, vmss, last_run_time=datetime.now(UTC))
        return f"Snapshots of {len(record['VMs'])} VMs have been made."

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_type(call: Call, self: VMSSRef, value: vmss_type) -> None:
        """Set whether disks alone are kept, or memory as well."""
        _check_type(value)
        _set(call, self, type=value)

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_retained_snapshots(call: Call, self: VMSSRef, value: int) -> None:
        """Set how many snapshots of each VM are kept: 1 to 10."""
        _check_retained(value)
        _set(call, self, retained_snapshots=value)

    @message(role=POOL_OPERATOR)
    def set_frequency(call: Call, self: VMSSRef, value: vmss_frequency) -> None:
        """Set how often snapshots are made. What the schedule does not say for that is set to the first possible."""
        known = {key: text for key, text in call.record(self, "VMSS")["schedule"].items() if key in KEYS[value]}
        _set(call, self, frequency=value, schedule={**_first(value), **known})

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def set_schedule(call: Call, self: VMSSRef, value: dict[str, str]) -> None:
        """Set when snapshots are made: min (0, 15, 30, 45), hour (0 to 23), days (Monday, Tuesday ...)."""
        _set(call, self, schedule=_checked(call.record(self, "VMSS")["frequency"], value))

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def add_to_schedule(call: Call, self: VMSSRef, key: str, value: str) -> None:
        """Set one part of when snapshots are made."""
        record = call.record(self, "VMSS")
        _set(call, self, schedule=_checked(record["frequency"], {**record["schedule"], key: value}))

    @message(role=POOL_OPERATOR, errors=("INVALID_VALUE",))
    def remove_from_schedule(call: Call, self: VMSSRef, key: str) -> None:
        """Set one part of when snapshots are made to the first possible."""
        record = call.record(self, "VMSS")
        if key in record["schedule"]:
            first = _first(record["frequency"])[key]
            _set(call, self, schedule={**record["schedule"], key: first})

    @message(role=POOL_ADMIN)
    def set_last_run_time(call: Call, self: VMSSRef, value: datetime) -> None:
        """Set when snapshots were made last."""
        _set(call, self, last_run_time=value)


def _set(call: Call, ref: str, **fields: Any) -> None:
    with call.store.write() as change:
        change.update(ref, **fields)


def _check_type(value: vmss_type) -> None:
    if value == vmss_type.snapshot_with_quiesce:
        raise XenApiError("INVALID_VALUE", "type", value)


def _check_retained(value: int) -> None:
    if not 1 <= value <= MOST_RETAINED:
        raise XenApiError("INVALID_VALUE", "retained_snapshots", value)


def _first(frequency: vmss_frequency) -> dict[str, str]:
    """Return the first schedule that a frequency can have."""
    return {key: values[0] for key, values in KEYS[frequency].items()}


def _checked(frequency: vmss_frequency, schedule: Mapping[str, str]) -> dict[str, str]:
    """Return a schedule of a frequency; INVALID_VALUE if it cannot be."""
    known = KEYS[frequency]
    for key, text in schedule.items():
        parts = text.split(",") if key == "days" else [text]
        if key not in known or not all(part in known[key] for part in parts):
            raise XenApiError("INVALID_VALUE", f"schedule:{key}", text)
    for key in known:
        if key not in schedule:
            raise XenApiError("INVALID_VALUE", f"schedule:{key}", "")
    return dict(schedule)


async def _take(call: Call, kind: vmss_type, vm: str) -> None:
    take = snapshots.take if kind == vmss_type.snapshot else snapshots.take_with_memory
    name = f"{call.record(vm)['name_label']} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    made = await take(call, vm, name)
    _set(call, made, is_vmss_snapshot=True)


def _forget_old(call: Call, vm: str, retained: int) -> None:
    """Destroy the oldest scheduled snapshots of a VM, with their disks, beyond so many."""
    made = [ref for ref in call.record(vm)["snapshots"] if call.record(ref)["is_vmss_snapshot"]]
    for old in made[:-retained]:
        power.destroy(call, old, disks=True)
