"""A virtual TPM: a trusted platform module of a VM."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from xenapi_core.classes.lifecycle import BUSY, VM_OPERATIONS, State, bad_power_state
from xenapi_core.datamodel import (
    NULL,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    Call,
    Objects,
    Operations,
    Record,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
)
from xenapi_core.datamodel.refs import VMRef, VTPMRef


class vtpm_operations(StrEnum):
    """What may be done with a virtual TPM."""

    destroy = "destroy"


class persistence_backend(StrEnum):
    """Where the content of a virtual TPM is kept."""

    xapi = "xapi"


PersistenceBackend: TypeAlias = persistence_backend

VTPMRecord = Annotated[dict[str, Any], RecordOf("VTPM")]

XENBUS_CONNECTED = "4"
"""The state in which both ends of a split device driver serve it (XenbusStateConnected)."""

MOST = 1
"""How many virtual TPMs a VM can have."""


class VTPMOperations(Operations):
    """A virtual TPM can be destroyed while its VM is halted."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise VM_BAD_POWER_STATE unless the VM is halted."""
        vm = objects.get(record["VM"])
        if vm is not None and vm["power_state"] != State.Halted:
            raise bad_power_state(vm, State.Halted)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return what can be done now."""
        vm = objects.get(record["VM"])
        return (vtpm_operations.destroy,) if vm is None or vm["power_state"] == State.Halted else ()


VTPM_OPERATIONS = VTPMOperations()


class VTPM(XenClass, role=VM_ADMIN, operations=VTPM_OPERATIONS):
    """A virtual TPM: a trusted platform module of a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    allowed_operations: list[vtpm_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vtpm_operations] = field(RO, doc="operations under way: task to operation")
    VM: VMRef = field(STATIC, doc="the VM that has it")
    backend: VMRef = field(RO, default=NULL, doc="the domain that serves it")
    persistence_backend: PersistenceBackend = field(
        RO, default=persistence_backend.xapi, doc="where its content is kept"
    )
    is_unique: bool = field(STATIC, default=False, doc="whether it is never copied with its VM")
    is_protected: bool = field(RO, doc="whether its content is protected with the host's own TPM")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients (Xen-API 1.0)")

    @message(role=VM_ADMIN, asynchronous=True, errors=(*BUSY, "VTPM_MAX_AMOUNT_REACHED", "INVALID_VALUE"))
    def create(call: Call, vM: VMRef, is_unique: bool) -> VTPMRef:
        """Give a halted VM a virtual TPM, and return its reference."""
        return _create(call, vM, is_unique=is_unique)

    @create.also
    def create_from_record(call: Call, args: VTPMRecord) -> VTPMRef:
        """Give a halted VM a virtual TPM that a domain serves, as Xen-API 1.0 asks for one."""
        given = {name: args[name] for name in ("backend", "other_config") if name in args}
        return _create(call, args.get("VM", NULL), **given)

    @message(role=READ_ONLY)
    def get_runtime_properties(call: Call, self: VTPMRef) -> dict[str, str]:
        """Get what the two ends of a running VM's virtual TPM tell; nothing for a VM without domain (1.0)."""
        record = call.record(self, "VTPM")
        vm, backend = call.record(record["VM"]), call.store.get(record["backend"])
        if vm["resident_on"] == NULL:
            return {}
        return {"backend-id": str(backend["domid"] if backend else 0), "state": XENBUS_CONNECTED}

    @message(role=VM_ADMIN, asynchronous=True, errors=("VM_BAD_POWER_STATE",))
    def destroy(call: Call, self: VTPMRef) -> None:
        """Destroy a halted VM's virtual TPM, with all that it keeps."""
        with call.store.write() as change:
            VTPM_OPERATIONS.check(change, change.record(self, "VTPM"), "destroy")
            change.destroy(self)


def _create(call: Call, vm: str, **fields: Any) -> str:
    with call.store.write() as change:
        record = change.record(vm, "VM")
        VM_OPERATIONS.check(change, record, "create_vtpm")
        if len(record["VTPMs"]) >= MOST:
            raise XenApiError("VTPM_MAX_AMOUNT_REACHED", MOST)
        return change.create("VTPM", {"VM": vm, **fields})
