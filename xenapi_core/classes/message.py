"""Messages to people: what happened that somebody may want to know of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from xenapi_core.datamodel import (
    POOL_OPERATOR,
    READ_ONLY,
    RO,
    Call,
    Change,
    Record,
    RecordOf,
    Store,
    XenApiError,
    XenClass,
    field,
)
from xenapi_core.datamodel import message as declares
from xenapi_core.datamodel.refs import MessageRef

MessageRecord = Annotated[Any, RecordOf("message")]

KEPT = 10_000
"""How many messages are kept; beyond that the oldest go."""


class cls(StrEnum):
    """The class of the object that a message is about."""

    VM = "VM"
    Host = "Host"
    SR = "SR"
    Pool = "Pool"
    VMPP = "VMPP"
    VMSS = "VMSS"
    PVS_proxy = "PVS_proxy"
    VDI = "VDI"
    Certificate = "Certificate"


Cls = cls
UP = frozenset({"Running", "Paused"})

AFTER = {
    ("Halted", "up"): "VM_STARTED",
    ("Suspended", "up"): "VM_RESUMED",
    ("up", "Halted"): "VM_SHUTDOWN",
    ("up", "Suspended"): "VM_SUSPENDED",
    ("up", "Crashed"): "VM_CRASHED",
    ("Crashed", "up"): "VM_REBOOTED",
    ("up", "up"): "VM_REBOOTED",
}
"""The name of the message that tells of a VM's way from one state to another; from "up" to "up" it got a new domain."""

PRIORITIES = {"VM_CRASHED": 3}
"""From 1, the most urgent, to 5."""
ORDINARY = 5


TOLD = {
    "VM_STARTED": "has been started",
    "VM_RESUMED": "has been resumed",
    "VM_SHUTDOWN": "has shut down",
    "VM_SUSPENDED": "has been suspended",
    "VM_CRASHED": "has crashed",
    "VM_REBOOTED": "has rebooted",
    "VM_MIGRATED": "has moved to another host",
}


def _tell_of_vm(change: Change, before: Record, after: Record) -> None:
    """Raise the message that a change of a VM calls for."""
    name = _name(before, after)
    if name:
        told = f"VM '{after['name_label']}' {TOLD[name]}"
        post(change, name, Cls.VM, after["uuid"], told, PRIORITIES.get(name, ORDINARY))


def _name(before: Record, after: Record) -> str | None:
    if before["power_state"] == after["power_state"] and before["domid"] == after["domid"]:
        return None
    states = ["up" if each["power_state"] in UP else str(each["power_state"]) for each in (before, after)]
    if states == ["up", "up"]:
        if before["domid"] == after["domid"]:
            return None
        if before["resident_on"] != after["resident_on"]:
            return "VM_MIGRATED"
    return AFTER.get((states[0], states[1]))


class message(XenClass, follows={"VM": _tell_of_vm}):
    """Something that happened and that somebody may want to know of."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name: str = field(RO, doc="what happened, as a word for programs")
    priority: int = field(RO, doc="how urgent it is, from 1 to 5, the least")
    cls: Cls = field(RO, doc="class of the object that it is about")
    obj_uuid: str = field(RO, doc="uuid of that object")
    timestamp: datetime = field(RO, doc="when it happened")
    body: str = field(RO, doc="what happened, for people")

    @declares(role=POOL_OPERATOR, errors=("UUID_INVALID", "INVALID_VALUE"))
    def create(call: Call, name: str, priority: int, cls: Cls, obj_uuid: str, body: str) -> MessageRef:
        """Tell of something that happened to an object."""
        if not 1 <= priority <= 5:
            raise XenApiError("INVALID_VALUE", "priority", priority)
        if not _exists(call, cls, obj_uuid):
            raise XenApiError("UUID_INVALID", cls, obj_uuid)
        with call.store.write() as change:
            return post(change, name, cls, obj_uuid, body, priority)

    @declares(role=POOL_OPERATOR)
    def destroy(call: Call, self: MessageRef) -> None:
        """Forget a message."""
        with call.store.write() as change:
            change.destroy(self)

    @declares(role=POOL_OPERATOR, asynchronous=True)
    def destroy_many(call: Call, messages: list[MessageRef]) -> None:
        """Forget some messages."""
        with call.store.write() as change:
            for each in dict.fromkeys(messages):
                change.destroy(each)

    @declares(role=READ_ONLY)
    def get(call: Call, cls: Cls, obj_uuid: str, since: datetime) -> dict[MessageRef, MessageRecord]:
        """Get the messages about an object since a time."""
        about = (each for each in _since(call, since) if each["cls"] == cls and each["obj_uuid"] == obj_uuid)
        return {each.ref: each for each in about}

    @declares(role=READ_ONLY)
    def get_since(call: Call, since: datetime) -> dict[MessageRef, MessageRecord]:
        """Get the messages since a time."""
        return {each.ref: each for each in _since(call, since)}


def post(change: Change, name: str, cls: Cls, obj_uuid: str, body: str, priority: int = ORDINARY) -> str:
    """Raise a message as a part of a step, and return its reference."""
    about = {"cls": cls, "obj_uuid": obj_uuid, "timestamp": datetime.now(UTC)}
    return change.create("message", {"name": name, "priority": priority, "body": body, **about})


def trim(store: Store) -> None:
    """Forget the oldest messages if there are too many."""
    known = list(store.records("message"))
    if len(known) > KEPT:
        with store.write() as change:
            for oldest in known[:-KEPT]:
                change.destroy(oldest.ref)


def _since(call: Call, since: datetime) -> Iterable[Record]:
    return (each for each in call.store.durable.records("message") if each["timestamp"] >= since)


def _exists(call: Call, cls: Cls, obj_uuid: str) -> bool:
    names = {Cls.Host: "host", Cls.Pool: "pool"}
    return call.store.by_uuid(names.get(cls, str(cls)), obj_uuid) is not None
