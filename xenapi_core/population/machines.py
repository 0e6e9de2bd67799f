"""The virtual machines of a simulated pool: control domains, templates, VMs."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle, islice
from typing import Any

from xenapi_core.classes import placement, power
from xenapi_core.classes.cloning import DISKS
from xenapi_core.datamodel import NULL
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain
from xenapi_core.hypervisors.simulated import guest_of
from xenapi_core.population.context import GIB, MIB, Making
from xenapi_core.population.groups import make_groups
from xenapi_core.population.identity import identity, mac
from xenapi_core.population.snapshots import make_snapshots
from xenapi_core.population.storage import make_image
from xenapi_core.scenario import Template

THIN = 4
"""A disk takes one part in so many of its size when the pool is made."""

DRIVE = 3
"""Where a fully virtualized VM has its CD drive. Those with UEFI get the discs, one each, while there are any."""

PROVISION = f'<provision><disk device="0" size="{8 * GIB}" sr="" bootable="true" type="system"/></provision>'
"""The disks of a VM that is made from a template."""


def make_control_domains(making: Making) -> None:
    """Make the control domain of each host."""
    for number, host in enumerate(making.hosts):
        _make_control_domain(making, number, host)


def make_templates(making: Making) -> None:
    """Make the templates."""
    for template in making.scenario.templates:
        made = _make_vm(making, f"template/{template.name}", template.name, template, is_a_template=True)
        making.change.update(made, other_config={**making.change.record(made)["other_config"], DISKS: PROVISION})


def _make_control_domain(making: Making, number: int, host: str) -> None:
    hosts = making.scenario.hosts
    memory, vcpus, path = hosts.control_domain_memory_mib * MIB, hosts.control_domain_vcpus, f"host/{number}/domain"
    metrics = making.create(
        "VM_metrics",
        f"{path}/metrics",
        VCPUs_number=vcpus,
        state=["running"],
        start_time=making.now - timedelta(days=30),
        install_time=making.now - timedelta(days=60),
        current_domain_type="pv",
    )
    vm = making.create(
        "VM",
        path,
        name_label=f"Control domain on host: {hosts.name.format(number=number + 1)}",
        name_description="The domain which manages physical devices and manages other domains",
        is_control_domain=True,
        power_state="Running",
        resident_on=host,
        affinity=host,
        domid=0,
        domarch="x86_64",
        domain_type="pv",
        PV_kernel="/boot/vmlinuz",
        VCPUs_max=vcpus,
        VCPUs_at_startup=vcpus,
        **_fixed_memory(memory),
        memory_target=memory,
        actions_after_shutdown="destroy",
        actions_after_reboot="destroy",
        actions_after_crash="destroy",
        metrics=metrics,
    )
    overhead = placement.overhead(making.change.record(vm))
    making.change.update(vm, memory_overhead=overhead)
    making.change.update(host, control_domain=vm)
    making.free[number] -= memory + overhead


def make_vms(making: Making) -> None:
    """Make the VMs, each from the next of the templates and in the next of the states."""
    vms = making.scenario.vms
    states = [*islice(cycle(vms.states), vms.count - 1), "Halted"]
    made: list[str] = []
    for number, template in zip(range(vms.count), cycle(making.scenario.templates), strict=False):
        path = f"vm/{number}"
        if number == vms.count - 1 and number:  # the last VM is to be the last object of its class
            make_snapshots(making, made)
        made.append(_make_vm(making, path, vms.name.format(number=number + 1), template))
        _make_devices(making, path, made[-1], number, template)
    running = 0
    for number, (vm, state) in enumerate(zip(made, states, strict=True)):
        if state in ("Running", "Paused"):
            _bring_up(making, f"vm/{number}", vm, running, paused=state == "Paused")
            running += 1
        elif state == "Suspended":
            _suspend(making, f"vm/{number}", vm)
    make_groups(making, made)


def _make_vm(making: Making, path: str, name: str, template: Template, *, is_a_template: bool = False) -> str:
    installed = making.now - timedelta(days=20)
    metrics = making.create("VM_metrics", f"{path}/metrics", install_time=installed)
    description = "Default template" if is_a_template else f"Made from the template {template.name}"
    vm = making.create(
        "VM",
        path,
        name_label=name,
        name_description=description,
        is_a_template=is_a_template,
        is_default_template=is_a_template,
        reference_label=template.system,
        VCPUs_max=template.vcpus,
        VCPUs_at_startup=template.vcpus,
        VCPUs_params=template.scheduling,
        xenstore_data={f"vm-data/{key}": text for key, text in template.guest_data.items()},
        other_config={"kvp_enabled": "true"} if template.guest_data else {},
        **_fixed_memory(template.memory_mib * MIB),
        **_boot(template),
        metrics=metrics,
    )
    making.change.update(vm, memory_overhead=placement.overhead(making.change.record(vm)))
    return vm


def _make_devices(making: Making, path: str, vm: str, number: int, template: Template) -> None:
    vms = making.scenario.vms
    for disk, size in enumerate(vms.disks_gib):
        _make_disk(making, f"{path}/disk/{disk}", vm, disk, size * GIB)
    if template.kind == "hvm" and len(vms.disks_gib) <= DRIVE:
        disc = making.discs.pop(0) if template.firmware == "uefi" and making.discs else NULL
        _make_drive(making, f"{path}/drive", vm, disc)
    for nic, network in enumerate(vms.networks):
        making.create(
            "VIF",
            f"{path}/nic/{nic}",
            VM=vm,
            network=making.networks[network],
            device=str(nic),
            MAC=mac(making.scenario.seed, number * len(vms.networks) + nic),
            MAC_autogenerated=True,
            MTU=1500,
            metrics=making.create("VIF_metrics", f"{path}/nic/{nic}/metrics"),
        )
    console = f"{path}/console"
    uuid, _ = identity(making.scenario.seed, console)
    protocol = "rfb" if template.kind == "hvm" else "vt100"
    location = f"https://{making.address(0)}/console?uuid={uuid}"
    making.create("console", console, VM=vm, protocol=protocol, location=location)


def _make_disk(making: Making, path: str, vm: str, number: int, size: int) -> None:
    vdi = make_image(making, path, size, size // THIN, name_label=f"disk {number}")
    making.create(
        "VBD",
        f"{path}/vbd",
        VM=vm,
        VDI=vdi,
        userdevice=str(number),
        device=f"xvd{'abcdefghijklmnop'[number]}",
        bootable=number == 0,
        mode="RW",
        type="Disk",
        metrics=making.create("VBD_metrics", f"{path}/metrics"),
    )


def _make_drive(making: Making, path: str, vm: str, disc: str) -> None:
    """Make a CD drive with a disc, or nothing, in it."""
    making.create(
        "VBD",
        path,
        VM=vm,
        VDI=disc,
        userdevice=str(DRIVE),
        device=f"xvd{'abcdefghijklmnop'[DRIVE]}",
        mode="RO",
        type="CD",
        empty=disc == NULL,
        metrics=making.create("VBD_metrics", f"{path}/metrics"),
    )


def _bring_up(making: Making, path: str, vm: str, running: int, *, paused: bool) -> None:
    turn, index = divmod(running, len(making.hosts))
    making.change.update(vm, memory_target=making.change.record(vm)["memory_dynamic_max"])
    record = making.change.record(vm)
    config = describe(making.change, record)
    guest = guest_of(config)
    if guest is not None:
        making.change.update(vm, guest_metrics=making.create("VM_guest_metrics", f"{path}/guest_metrics"))
    domain = Domain(
        uuid=config.uuid,
        domid=turn + 1,
        paused=paused,
        memory=config.memory,
        vcpus=config.vcpus,
        started=making.now - timedelta(days=10, seconds=37 * running),
        kind=config.kind,
        guest=guest,
    )
    power.up(making.change, vm, making.hosts[index], domain)
    making.free[index] -= placement.needed(record)


def _suspend(making: Making, path: str, vm: str) -> None:
    record = making.change.record(vm)
    memory = record["memory_dynamic_max"]
    size = memory + power.MEMORY_IMAGE_RESERVE
    image = make_image(
        making,
        f"{path}/suspended",
        size,
        size,
        name_label="Suspend image",
        name_description=f"Memory of {record['name_label']}",
        type="suspend",
    )
    making.change.update(vm, power_state="Suspended", suspend_VDI=image, memory_target=memory)


def _fixed_memory(memory: int) -> dict[str, int]:
    return {
        "memory_static_max": memory,
        "memory_dynamic_max": memory,
        "memory_dynamic_min": memory,
        "memory_static_min": memory // 2,
    }


def _boot(template: Template) -> dict[str, Any]:
    if template.kind == "hvm":
        return {
            "domain_type": "hvm",
            "HVM_boot_policy": "BIOS order",
            "HVM_boot_params": {"order": "cdn", "firmware": template.firmware},
            "platform": {
                "acpi": "1",
                "apic": "true",
                "pae": "true",
                "nx": "true",
                "device-model": "qemu-upstream-compat",
            },
        }
    return {
        "domain_type": template.kind,
        "PV_bootloader": "pygrub",
        "PV_args": "console=hvc0",
        "platform": {"acpi": "1", "apic": "true", "pae": "true", "nx": "true"},
    }
