"""A kind of virtual GPU."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import POOL_OPERATOR, RO, STATIC, XenClass, field, reverse
from xenapi_core.datamodel.refs import GPUGroupRef, PGPURef, VGPURef, VGPUTypeRef


class vgpu_type_implementation(StrEnum):
    """How a virtual GPU is made."""

    passthrough = "passthrough"
    nvidia = "nvidia"
    nvidia_sriov = "nvidia_sriov"
    gvt_g = "gvt_g"
    mxgpu = "mxgpu"


class VGPU_type(XenClass, role=POOL_OPERATOR):
    """A kind of virtual GPU."""

    uuid: str = field(RO, doc="unique identifier of the object")
    vendor_name: str = field(STATIC, default="", doc="name of the vendor")
    model_name: str = field(STATIC, default="", doc="name of the model")
    implementation: vgpu_type_implementation = field(
        STATIC, default=vgpu_type_implementation.passthrough, doc="how it is made"
    )
    identifier: str = field(STATIC, default="", doc="name of the type within its implementation")
    experimental: bool = field(STATIC, default=False, doc="whether it is not yet for production")

    # What the guest sees
    framebuffer_size: int = field(STATIC, default=0, doc="size of the frame buffer (bytes)")
    max_heads: int = field(STATIC, default=0, doc="how many displays it drives")
    max_resolution_x: int = field(STATIC, default=0, doc="greatest width of a display (pixels)")
    max_resolution_y: int = field(STATIC, default=0, doc="greatest height of a display (pixels)")

    # Where there are some
    supported_on_PGPUs: list[PGPURef] = field(RO, doc="the GPUs that could be divided so")
    enabled_on_PGPUs: list[PGPURef] = field(RO, doc="the GPUs that may be divided so")
    supported_on_GPU_groups: list[GPUGroupRef] = field(RO, doc="the groups of the former")
    enabled_on_GPU_groups: list[GPUGroupRef] = field(RO, doc="the groups of the latter")
    VGPUs: list[VGPURef] = reverse("VGPU", "type", doc="the virtual GPUs of the type")
    compatible_types_in_vm: list[VGPUTypeRef] = field(RO, doc="the types that a VM can have beside it")
