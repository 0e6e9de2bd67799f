"""A virtual GPU of a VM."""

from __future__ import annotations

from xenapi_core.classes.lifecycle import State, bad_power_state
from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, RW, Call, Change, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import GPUGroupRef, PCIRef, PGPURef, VGPURef, VGPUTypeRef, VMRef


class VGPU(XenClass, role=POOL_OPERATOR):
    """A virtual GPU of a VM."""

    uuid: str = field(RO, doc="unique identifier of the object")
    VM: VMRef = field(RO, doc="the VM that has it")
    GPU_group: GPUGroupRef = field(RO, doc="the group of GPUs that it is taken of")
    type: VGPUTypeRef = field(RO, default=NULL, doc="its kind")
    device: str = field(RO, default="0", doc="its position in the VM")
    currently_attached: bool = field(RO, default=False, doc="whether a domain uses it now")
    resident_on: PGPURef = field(RO, default=NULL, doc="the GPU that gives it")
    scheduled_to_be_resident_on: PGPURef = field(RO, default=NULL, doc="the GPU that is about to give it")
    PCI: PCIRef = field(RO, default=NULL, doc="the device that is handed through")
    compatibility_metadata: dict[str, str] = field(RO, doc="what decides where it can move to")
    extra_args: str = field(RW, default="", doc="further arguments of the program that serves it")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=(
            "VM_BAD_POWER_STATE",
            "GPU_GROUP_CONTAINS_NO_PGPUS",
            "DEVICE_ALREADY_EXISTS",
            "INVALID_VALUE",
            "VGPU_TYPE_NOT_ENABLED",
        ),
    )
    def create(
        call: Call,
        VM: VMRef,
        GPU_group: GPUGroupRef,
        device: str = "0",
        other_config: dict[str, str] = {},  # noqa: B006  # a declaration: never changed
        type: VGPUTypeRef = NULL,
    ) -> VGPURef:
        """Give a halted VM a virtual GPU of a group, and return its reference."""
        if not device.isdecimal():
            raise XenApiError("INVALID_VALUE", "device", device)
        with call.store.write() as change:
            vm, group = change.record(VM, "VM"), change.record(GPU_group, "GPU_group")
            _halted(change, VM)
            if any(change.record(vgpu)["device"] == device for vgpu in vm["VGPUs"]):
                raise XenApiError("DEVICE_ALREADY_EXISTS", device)
            if not group["PGPUs"]:
                raise XenApiError("GPU_GROUP_CONTAINS_NO_PGPUS", GPU_group)
            if type != NULL and type not in group["enabled_VGPU_types"]:
                raise XenApiError("VGPU_TYPE_NOT_ENABLED", type, ", ".join(group["enabled_VGPU_types"]))
            values = {"VM": VM, "GPU_group": GPU_group, "device": device, "type": type, "other_config": other_config}
            return change.create("VGPU", values)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("VM_BAD_POWER_STATE",))
    def destroy(call: Call, self: VGPURef) -> None:
        """Destroy a virtual GPU of a halted VM."""
        with call.store.write() as change:
            _halted(change, change.record(self, "VGPU")["VM"])
            change.destroy(self)


def _halted(change: Change, vm: str) -> None:
    record = change.get(vm)
    if record is not None and record["power_state"] != State.Halted:
        raise bad_power_state(record, State.Halted)
