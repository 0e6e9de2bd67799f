"""A group of alike GPUs, of which virtual ones are taken."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, Call, XenApiError, XenClass, field, message, reverse
from xenapi_core.datamodel.refs import GPUGroupRef, PGPURef, VGPURef, VGPUTypeRef


class allocation_algorithm(StrEnum):
    """How a GPU is chosen for a virtual one."""

    breadth_first = "breadth_first"
    depth_first = "depth_first"


AllocationAlgorithm: TypeAlias = allocation_algorithm


class GPU_group(XenClass, role=POOL_OPERATOR):
    """A group of alike GPUs, of which virtual ones are taken."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    PGPUs: list[PGPURef] = reverse("PGPU", "GPU_group", doc="the GPUs in it")
    VGPUs: list[VGPURef] = reverse("VGPU", "GPU_group", doc="the virtual GPUs taken of it")
    GPU_types: list[str] = field(RO, doc="vendor and device of the GPUs in it")
    allocation_algorithm: AllocationAlgorithm = field(
        RW, default=allocation_algorithm.depth_first, doc="how a GPU is chosen for a virtual one"
    )
    supported_VGPU_types: list[VGPUTypeRef] = field(RO, doc="kinds of virtual GPUs that some GPU in it could give")
    enabled_VGPU_types: list[VGPUTypeRef] = field(RO, doc="kinds of virtual GPUs that some GPU in it may give")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_OPERATOR, asynchronous=True)
    def create(
        call: Call,
        name_label: str = "",
        name_description: str = "",
        other_config: dict[str, str] = {},  # noqa: B006  # a declaration: never changed
    ) -> GPUGroupRef:
        """Make an empty group and return its reference."""
        values = {"name_label": name_label, "name_description": name_description, "other_config": other_config}
        with call.store.write() as change:
            return change.create("GPU_group", values)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("GPU_GROUP_CONTAINS_PGPU", "GPU_GROUP_CONTAINS_VGPU"))
    def destroy(call: Call, self: GPUGroupRef) -> None:
        """Destroy an empty group."""
        with call.store.write() as change:
            record = change.record(self, "GPU_group")
            for name, code in (("PGPUs", "GPU_GROUP_CONTAINS_PGPU"), ("VGPUs", "GPU_GROUP_CONTAINS_VGPU")):
                if record[name]:
                    raise XenApiError(code, ", ".join(record[name]))
            change.destroy(self)
