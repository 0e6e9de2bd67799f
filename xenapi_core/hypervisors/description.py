"""What a hypervisor is told of a VM, read from the VM's record and those of its devices."""

from __future__ import annotations

from collections.abc import Iterator

from xenapi_core.datamodel import NULL, Objects, Record
from xenapi_core.hypervisors.interface import Disk, DomainConfig, Nic


def kind(vm: Record) -> str:
    """Return how a VM's domain is built: its domain type, or what its boot policy implies."""
    declared = str(vm["domain_type"])
    if declared != "unspecified":
        return declared
    return "hvm" if vm["HVM_boot_policy"] else "pv"


def describe(objects: Objects, vm: Record, *, attached: bool = False) -> DomainConfig:
    """Return what the domain of a VM is to be like; or is like, with those devices only that are ``attached``."""

    def devices(field: str) -> Iterator[Record]:
        records = (objects.record(ref) for ref in vm[field])
        return (record for record in records if record["currently_attached"] or not attached)

    return DomainConfig(
        uuid=vm["uuid"],
        name=vm["name_label"],
        memory=vm["memory_target"],
        memory_max=vm["memory_static_max"],
        vcpus=vm["VCPUs_at_startup"],
        vcpus_max=vm["VCPUs_max"],
        kind=kind(vm),
        boot=_boot(vm),
        system=vm["reference_label"],
        disks=tuple(disk(objects, vbd) for vbd in devices("VBDs")),
        nics=tuple(nic(objects, vif) for vif in devices("VIFs")),
    )


def _boot(vm: Record) -> dict[str, str]:
    if kind(vm) == "hvm":
        return dict(vm["HVM_boot_params"])
    boot = {
        "bootloader": vm["PV_bootloader"],
        "bootloader_args": vm["PV_bootloader_args"],
        "kernel": vm["PV_kernel"],
        "ramdisk": vm["PV_ramdisk"],
        "args": vm["PV_args"],
    }
    return {name: value for name, value in boot.items() if value}


def disk(objects: Objects, vbd: Record) -> Disk:
    """Return what a virtual block device is to a domain."""
    return Disk(
        device=vbd["userdevice"],
        image="" if vbd["VDI"] == NULL else objects.record(vbd["VDI"])["uuid"],
        writable=vbd["mode"] == "RW",
        cd=vbd["type"] == "CD",
        bootable=vbd["bootable"],
    )


def nic(objects: Objects, vif: Record) -> Nic:
    """Return what a virtual NIC is to a domain."""
    bridge = "" if vif["network"] == NULL else objects.record(vif["network"])["bridge"]
    return Nic(device=vif["device"], mac=vif["MAC"], bridge=bridge, mtu=vif["MTU"])
