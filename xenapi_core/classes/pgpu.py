"""A physical GPU of a host."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import (
    NULL,
    POOL_OPERATOR,
    RO,
    RW,
    STATIC,
    Call,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import GPUGroupRef, HostRef, PCIRef, PGPURef, VGPURef, VGPUTypeRef


class pgpu_dom0_access(StrEnum):
    """Whether the control domain uses a GPU."""

    enabled = "enabled"
    disable_on_reboot = "disable_on_reboot"
    disabled = "disabled"
    enable_on_reboot = "enable_on_reboot"


Access = pgpu_dom0_access

AFTER_ENABLING = {Access.disable_on_reboot: Access.enabled, Access.disabled: Access.enable_on_reboot}
AFTER_DISABLING = {Access.enabled: Access.disable_on_reboot, Access.enable_on_reboot: Access.disabled}
"""What becomes of the control domain's access; the host has to reboot before it really changes."""


class PGPU(XenClass, role=POOL_OPERATOR):
    """A physical GPU of a host."""

    uuid: str = field(RO, doc="unique identifier of the object")
    PCI: PCIRef = field(STATIC, default=NULL, doc="its PCI device")
    GPU_group: GPUGroupRef = field(STATIC, default=NULL, doc="the group that it is in")
    host: HostRef = field(RO, default=NULL, doc="the host that it is in")
    supported_VGPU_types: list[VGPUTypeRef] = field(RO, doc="kinds of virtual GPUs that it could give")
    enabled_VGPU_types: list[VGPUTypeRef] = field(RO, doc="kinds of virtual GPUs that it may give")
    resident_VGPUs: list[VGPURef] = reverse("VGPU", "resident_on", doc="the virtual GPUs that it gives now")
    supported_VGPU_max_capacities: dict[VGPUTypeRef, int] = field(RO, doc="how many of each kind it could give")
    dom0_access: pgpu_dom0_access = field(
        RO, default=pgpu_dom0_access.enabled, doc="whether the control domain uses it"
    )
    is_system_display_device: bool = field(RO, doc="whether it shows the host's own console")
    compatibility_metadata: dict[str, str] = field(RO, doc="what decides whether virtual GPUs can move to it")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_OPERATOR, asynchronous=True)
    def enable_dom0_access(call: Call, self: PGPURef) -> pgpu_dom0_access:
        """Let the control domain use a GPU again, from the host's next boot on."""
        return _change_access(call, self, AFTER_ENABLING)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def disable_dom0_access(call: Call, self: PGPURef) -> pgpu_dom0_access:
        """Keep the control domain from using a GPU, from the host's next boot on."""
        return _change_access(call, self, AFTER_DISABLING)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("PGPU_IN_USE_BY_VM", "PGPU_NOT_COMPATIBLE_WITH_GPU_GROUP"))
    def set_GPU_group(call: Call, self: PGPURef, value: GPUGroupRef) -> None:
        """Put a GPU that is not in use into another group of alike ones."""
        with call.store.write() as change:
            record, group = change.record(self, "PGPU"), change.record(value, "GPU_group")
            if record["resident_VGPUs"]:
                users = (change.record(vgpu)["VM"] for vgpu in record["resident_VGPUs"])
                raise XenApiError("PGPU_IN_USE_BY_VM", ", ".join(users))
            kind = record["other_config"].get("type", "")
            if group["PGPUs"] and kind not in group["GPU_types"]:
                raise XenApiError("PGPU_NOT_COMPATIBLE_WITH_GPU_GROUP", kind, ", ".join(group["GPU_types"]))
            change.update(self, GPU_group=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VGPU_TYPE_NOT_SUPPORTED",))
    def set_enabled_VGPU_types(call: Call, self: PGPURef, value: list[VGPUTypeRef]) -> None:
        """Set which kinds of virtual GPUs a GPU may give."""
        _enable(call, self, tuple(value))

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VGPU_TYPE_NOT_SUPPORTED",))
    def add_enabled_VGPU_types(call: Call, self: PGPURef, value: VGPUTypeRef) -> None:
        """Let a GPU give a kind of virtual GPUs."""
        _enable(call, self, tuple(dict.fromkeys((*call.record(self, "PGPU")["enabled_VGPU_types"], value))))

    @message(role=POOL_OPERATOR, asynchronous=True)
    def remove_enabled_VGPU_types(call: Call, self: PGPURef, value: VGPUTypeRef) -> None:
        """Keep a GPU from giving a kind of virtual GPUs."""
        _enable(call, self, tuple(kind for kind in call.record(self, "PGPU")["enabled_VGPU_types"] if kind != value))


def _change_access(call: Call, ref: str, after: dict[pgpu_dom0_access, pgpu_dom0_access]) -> pgpu_dom0_access:
    before: pgpu_dom0_access = call.record(ref, "PGPU")["dom0_access"]
    changed = after.get(before, before)
    with call.store.write() as change:
        change.update(ref, dom0_access=changed)
    return changed


def _enable(call: Call, ref: str, kinds: tuple[str, ...]) -> None:
    supported = call.record(ref, "PGPU")["supported_VGPU_types"]
    for kind in kinds:
        if kind not in supported:
            raise XenApiError("VGPU_TYPE_NOT_SUPPORTED", kind, ", ".join(supported))
    with call.store.write() as change:
        change.update(ref, enabled_VGPU_types=kinds)
