"""A console of a VM."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from xenapi_core.datamodel import (
    NULL,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    Call,
    RecordOf,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import ConsoleRef, VMRef


class console_protocol(StrEnum):
    """The language that a console speaks."""

    vt100 = "vt100"
    rfb = "rfb"
    rdp = "rdp"


ConsoleRecord = Annotated[dict[str, Any], RecordOf("console")]


class console(XenClass, role=VM_ADMIN):
    """A console of a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    protocol: console_protocol = field(STATIC, default=console_protocol.rfb, doc="the language that the console speaks")
    location: str = field(STATIC, default="", doc="URI at which the console is reached")
    VM: VMRef = field(STATIC, doc="the VM that the console belongs to")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=VM_ADMIN, asynchronous=True)
    def create(call: Call, args: ConsoleRecord) -> ConsoleRef:
        """Give a VM a console, and return its reference; its location follows from the pool master's address."""
        with call.store.write() as change:
            vm = change.record(args.get("VM", NULL), "VM")
            ref = change.create("console", {**args, "VM": vm.ref})
            if not args.get("location"):
                master = change.record(next(iter(change.records("pool")))["master"])
                uuid = change.record(ref)["uuid"]
                change.update(ref, location=f"https://{master['address']}/console?uuid={uuid}")
            return ref

    @message(role=VM_ADMIN, asynchronous=True)
    def destroy(call: Call, self: ConsoleRef) -> None:
        """Remove a console."""
        with call.store.write() as change:
            change.destroy(self)
