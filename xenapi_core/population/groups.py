"""What some VMs of a simulated pool have: an appliance, a schedule of snapshots, a virtual TPM, GPUs, USB devices."""

from __future__ import annotations

from collections.abc import Sequence

from xenapi_core.population.context import GIB, Making

SCHEDULED, JOINED, TRUSTED, EQUIPPED = 0, (2, 4), 3, 7
"""Numbers of the VMs with a schedule, in the appliance, with a virtual TPM, with devices of a host."""


def make_groups(making: Making, vms: Sequence[str]) -> None:
    """Make what belongs to some VMs, as far as there are so many."""
    appliance = making.create("VM_appliance", "appliance/0", name_label="Web shop", name_description="Two VMs in order")
    for order, number in enumerate(JOINED):
        if number < len(vms):
            making.change.update(vms[number], appliance=appliance, order=order, start_delay=5 * (1 - order))
    schedule = making.create(
        "VMSS",
        "schedule/0",
        name_label="Nightly",
        type="snapshot",
        frequency="daily",
        schedule={"hour": "2", "min": "30"},
    )
    making.change.update(vms[SCHEDULED], snapshot_schedule=schedule)
    if len(vms) > TRUSTED:
        making.create("VTPM", f"vm/{TRUSTED}/tpm", VM=vms[TRUSTED], is_unique=False)
    _make_gpus(making, vms[EQUIPPED] if len(vms) > EQUIPPED + 1 else "")
    _make_usb(making, vms[EQUIPPED] if len(vms) > EQUIPPED + 1 else "")


def _make_gpus(making: Making, vm: str) -> None:
    kind = making.create(
        "VGPU_type",
        "gpu/type",
        vendor_name="Advanced Micro Devices, Inc. [AMD/ATI]",
        model_name="FirePro S7150 4 GiB",
        implementation="mxgpu",
        framebuffer_size=4 * GIB,
        max_heads=1,
        max_resolution_x=4096,
        max_resolution_y=2160,
    )
    group = making.create(
        "GPU_group",
        "gpu/group",
        name_label="Group of AMD FirePro S7150",
        GPU_types=["1002:6929"],
        supported_VGPU_types=[kind],
        enabled_VGPU_types=[kind],
    )
    gpus = [
        making.create(
            "PGPU",
            f"host/{number}/gpu",
            host=host,
            GPU_group=group,
            supported_VGPU_types=[kind],
            enabled_VGPU_types=[kind],
            supported_VGPU_max_capacities={kind: 2},
            dom0_access="disabled",
            other_config={"type": "1002:6929"},
        )
        for number, host in enumerate(making.hosts)
    ]
    making.change.update(
        kind,
        supported_on_PGPUs=gpus,
        enabled_on_PGPUs=gpus,
        supported_on_GPU_groups=[group],
        enabled_on_GPU_groups=[group],
    )
    if vm:
        making.create("VGPU", "gpu/virtual", VM=vm, GPU_group=group, type=kind)


def _make_usb(making: Making, vm: str) -> None:
    group = making.create("USB_group", "usb/group", name_label="Group of USB security keys")
    making.create(
        "PUSB",
        "host/0/usb",
        host=making.hosts[0],
        USB_group=group,
        path="1-2",
        vendor_id="1050",
        vendor_desc="Yubico.com",
        product_id="0407",
        product_desc="Security key",
        serial="0001",
        version="2.00",
        speed=12.0,
        description="Yubico.com Security key",
        passthrough_enabled=True,
    )
    if vm:
        making.create("VUSB", "usb/virtual", VM=vm, USB_group=group)
