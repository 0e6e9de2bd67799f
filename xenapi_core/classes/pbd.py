"""The attachment of one host to one storage repository."""

from __future__ import annotations

from typing import Annotated, Any

from xenapi_core.classes import drivers
from xenapi_core.classes.repositories import SR_OPERATIONS
from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    Change,
    Objects,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import HostRef, PBDRef, SRRef
from xenapi_core.hypervisors.interface import Hypervisor

PBDRecord = Annotated[dict[str, Any], RecordOf("PBD")]

ATTACHING = 0.5
"""How long attaching to storage takes (s)."""


class PBD(XenClass, role=POOL_OPERATOR):
    """The attachment of one host to one storage repository."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(STATIC, doc="the host that is attached")
    SR: SRRef = field(STATIC, doc="the storage that it is attached to")
    device_config: dict[str, str] = field(
        STATIC, default={}, doc="how the host reaches the storage: device, server, serverpath, location and so on"
    )
    currently_attached: bool = field(RO, doc="whether the host reaches the storage now")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("HANDLE_INVALID", "PBD_EXISTS", "SR_NOT_SHARABLE", "OTHER_OPERATION_IN_PROGRESS"),
    )
    def create(call: Call, args: PBDRecord) -> PBDRef:
        """Tell a host how to reach a repository; it is not attached yet."""
        with call.store.write() as change:
            host = change.record(args.get("host", NULL), "host")
            repository = change.record(args.get("SR", NULL), "SR")
            SR_OPERATIONS.check(change, repository, "pbd_create")
            others = [change.record(pbd) for pbd in repository["PBDs"]]
            for other in others:
                if other["host"] == host.ref:
                    raise XenApiError("PBD_EXISTS", repository.ref, host.ref, other.ref)
            if others and not repository["shared"]:
                raise XenApiError("SR_NOT_SHARABLE", repository.ref, host.ref)
            return change.create("PBD", args)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("OPERATION_NOT_ALLOWED", "OTHER_OPERATION_IN_PROGRESS"))
    def destroy(call: Call, self: PBDRef) -> None:
        """Forget how a host that is not attached reaches a repository."""
        with call.store.write() as change:
            record = _detached(change, self)
            repository = change.get(record["SR"])
            if repository is not None:
                SR_OPERATIONS.check(change, repository, "pbd_destroy")
            change.destroy(self)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("SR_UNKNOWN_DRIVER", "SR_BACKEND_FAILURE", "SR_DEVICE_IN_USE", "OTHER_OPERATION_IN_PROGRESS"),
    )
    async def plug(call: Call, self: PBDRef) -> None:
        """Attach a host to a repository; one that is attached stays so."""
        record = call.record(self, "PBD")
        if record["currently_attached"]:
            return
        async with call.operation(record["SR"], "plug"):
            kind = drivers.driver(call.record(record["SR"], "SR")["type"])
            kind.check(record["device_config"])
            check_device_free(call.store, kind, record["device_config"], record["host"], record["SR"])
            hypervisor: Hypervisor = call.hypervisor(record["host"])
            await hypervisor.wait(ATTACHING)
            with call.store.write() as change:
                set_attached(change, self, attached=True)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VDI_IN_USE", "OTHER_OPERATION_IN_PROGRESS"))
    async def unplug(call: Call, self: PBDRef) -> None:
        """Detach a host from a repository of which its VMs use no image; one that is detached stays so."""
        record = call.record(self, "PBD")
        if not record["currently_attached"]:
            return
        async with call.operation(record["SR"], "unplug"):
            hypervisor: Hypervisor = call.hypervisor(record["host"])
            await hypervisor.wait(ATTACHING)
            with call.store.write() as change:
                _check_unused(change, change.record(self, "PBD"))
                set_attached(change, self, attached=False)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("OPERATION_NOT_ALLOWED",))
    def set_device_config(call: Call, self: PBDRef, value: dict[str, str]) -> None:
        """Set how a host that is not attached reaches a repository."""
        with call.store.write() as change:
            _detached(change, self)
            change.update(self, device_config=value)


def set_attached(change: Change, pbd: str, *, attached: bool) -> None:
    """Write that a host is, or is no longer, attached to a repository.

    The repository and its images are written as well, for what they allow follows from it.
    """
    change.update(pbd, currently_attached=attached)
    repository = change.record(change.record(pbd)["SR"], "SR")
    change.update(repository.ref)
    for vdi in repository["VDIs"]:
        change.update(vdi)


def check_device_free(
    objects: Objects, kind: drivers.Driver, config: dict[str, str], host: str, sr: str = NULL
) -> None:
    """Raise SR_DEVICE_IN_USE if another repository uses, on a host, the device that a configuration names."""
    if not kind.exclusive:
        return
    for pbd in objects.records("PBD"):
        other = objects.get(pbd["SR"])
        if other is None or other.ref == sr or other["type"] != kind.name:
            continue
        if (kind.shared or pbd["host"] == host) and pbd["device_config"].get(kind.exclusive) == config[kind.exclusive]:
            raise XenApiError("SR_DEVICE_IN_USE")


def _detached(objects: Objects, pbd: str) -> Record:
    record = objects.record(pbd, "PBD")
    if record["currently_attached"]:
        raise XenApiError("OPERATION_NOT_ALLOWED", f"PBD {pbd} is attached")
    return record


def _check_unused(objects: Objects, pbd: Record) -> None:
    """Raise VDI_IN_USE if a VM on the host of an attachment uses an image of its repository."""
    for vdi in objects.record(pbd["SR"])["VDIs"]:
        for vbd in map(objects.record, objects.record(vdi)["VBDs"]):
            if not vbd["currently_attached"]:
                continue
            if objects.record(vbd["VM"])["resident_on"] == pbd["host"]:
                raise XenApiError("VDI_IN_USE", vdi, "unplug")
