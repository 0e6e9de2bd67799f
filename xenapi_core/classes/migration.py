"""Moving VMs from host to host within the pool."""

from __future__ import annotations

from xenapi_core.classes import placement, power, vdi
from xenapi_core.classes.cloning import master, own_disks
from xenapi_core.classes.lifecycle import BUSY, RUNNING, VM_OPERATIONS, State, bad_power_state
from xenapi_core.classes.placement import NOT_THERE
from xenapi_core.classes.power import effects, operation_on, overtaken
from xenapi_core.datamodel import VM_POWER_ADMIN, Call, Change, Objects, Record, XenApiError, message
from xenapi_core.datamodel.refs import GPUGroupRef, HostRef, NetworkRef, SRRef, VDIRef, VGPURef, VIFRef, VMRef
from xenapi_core.hypervisors.interface import Hypervisor

MOVING = (
    *BUSY,
    *NOT_THERE,
    "VM_IS_IMMOBILE",
    "VM_LACKS_FEATURE",
    "VM_HAS_PCI_ATTACHED",
    "VM_HAS_VGPU",
    "VM_HAS_VUSBS",
)
"""What moving a VM may be refused with."""

ELSEWHERE = ("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED",)
"""What moving a VM to another pool is refused with."""


class Migration:
    """The messages of VM that move it."""

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=MOVING)
    async def pool_migrate(call: Call, vm: VMRef, host: HostRef, options: dict[str, str]) -> None:
        """Move a running VM to another host of the pool while it runs. No option changes how."""
        await migrate(call, vm, host)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*MOVING, "INVALID_VALUE"))
    async def migrate(call: Call, vm: VMRef, dest: str, live: bool, options: dict[str, str]) -> None:
        """Move a running VM to the host with a name, an address or a uuid. Xen-API 1.0; today pool_migrate.

        A VM that does not move live is suspended here and resumed there.
        """
        host = _host_named(call.store, dest)
        if live:
            await migrate(call, vm, host)
        else:
            VM_OPERATIONS.check(call.store, call.record(vm, "VM"), "pool_migrate")
            await power.suspend(call, vm)
            await power.resume(call, vm, "resume_on", host=host, paused=False)

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*MOVING, *ELSEWHERE, "SR_FULL"))
    async def migrate_send(
        call: Call,
        vm: VMRef,
        dest: dict[str, str],
        live: bool,
        vdi_map: dict[VDIRef, SRRef],
        vif_map: dict[VIFRef, NetworkRef],
        options: dict[str, str],
        vgpu_map: dict[VGPURef, GPUGroupRef] = {},  # noqa: B006  # a declaration: never changed
        vdi_format_map: dict[VDIRef, str] = {},  # noqa: B006
    ) -> VMRef:
        """Move a VM to the host that ``dest`` names, with disks to other repositories and NICs to other networks.

        The host has to be in this pool. Returns the reference of the VM, which is the one it had.
        """
        host = _host_in_pool(call.store, dest)
        _check_maps(call.store, vm, vdi_map, vif_map)
        if call.record(vm)["power_state"] == State.Running:
            await migrate(call, vm, host, "migrate_send")
        await _move_devices(call, vm, vdi_map, vif_map)
        return vm

    @message(role=VM_POWER_ADMIN, asynchronous=True, errors=(*MOVING, *ELSEWHERE))
    def assert_can_migrate(
        call: Call,
        vm: VMRef,
        dest: dict[str, str],
        live: bool,
        vdi_map: dict[VDIRef, SRRef],
        vif_map: dict[VIFRef, NetworkRef],
        options: dict[str, str],
        vgpu_map: dict[VGPURef, GPUGroupRef] = {},  # noqa: B006
    ) -> None:
        """Raise the error that migrate_send would end in now, if it would be refused."""
        record, host = call.record(vm, "VM"), _host_in_pool(call.store, dest)
        VM_OPERATIONS.check(call.store, record, "migrate_send")
        _check_maps(call.store, vm, vdi_map, vif_map)
        if record["power_state"] == State.Running and record["resident_on"] != host:
            reason = placement.refusal(call.store, record, call.record(host))
            if reason is not None:
                raise reason


async def migrate(call: Call, vm: str, host: str, operation: str = "pool_migrate") -> None:
    """Move a running VM to a host, where memory is claimed for it before it leaves the other one."""

    def begin(change: Change, record: Record) -> None:
        if record["resident_on"] != host:
            placement.claim(change, record, host)

    async with operation_on(call, vm, operation, begin, power.unclaim) as record:
        here = record["resident_on"]
        if here == host:
            return
        source: Hypervisor = call.hypervisor(here)
        destination: Hypervisor = call.hypervisor(host)
        domain = await source.migrate(record["uuid"], destination, call.task.progress)
        if overtaken(call, vm):
            await power.end_abandoned(call, vm, destination, record["uuid"])
            raise bad_power_state(call.record(vm, "VM"), *RUNNING)
        with effects(call, vm) as change:
            moved = change.record(vm)
            placement.take(change, here, -(moved["memory_target"] + moved["memory_overhead"]))
            power.up(change, vm, host, domain, built=False)


def _host_named(objects: Objects, dest: str) -> str:
    """Return the host that a text of Xen-API 1.0 names; INVALID_VALUE if there is none."""
    for host in objects.records("host"):
        if dest in (host.ref, host["uuid"], host["name_label"], host["hostname"], host["address"]):
            return host.ref
    raise XenApiError("INVALID_VALUE", "dest", dest)


def _host_in_pool(objects: Objects, dest: dict[str, str]) -> str:
    """Return the host that a receiver's answer names; an error if it is in another pool."""
    host = objects.get(dest.get("host", ""))
    if host is None or host.cls != "host":
        raise XenApiError("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED")
    return host.ref


def _check_maps(objects: Objects, vm: str, vdi_map: dict[str, str], vif_map: dict[str, str]) -> None:
    """Raise INVALID_VALUE unless disks and NICs that are to move belong to a VM."""
    record = objects.record(vm, "VM")
    disks = {vbd["VDI"] for vbd in own_disks(objects, record)}
    for name, given, owned in (("vdi_map", vdi_map, disks), ("vif_map", vif_map, set(record["VIFs"]))):
        for ref in given:
            if ref not in owned:
                raise XenApiError("INVALID_VALUE", name, ref)


async def _move_devices(call: Call, vm: str, vdi_map: dict[str, str], vif_map: dict[str, str]) -> None:
    """Move disks of a VM to other repositories and its NICs to other networks, in one step once all are copied."""
    moving = {image: sr for image, sr in vdi_map.items() if call.record(image)["SR"] != sr}
    async with operation_on(call, vm, "migrate_send"):
        for number, image in enumerate(moving):
            record = call.record(image)
            hypervisor: Hypervisor = call.hypervisor(master(call.store))
            await hypervisor.copy_image(record["uuid"], record["uuid"], record["virtual_size"], lambda fraction: None)
            call.task.progress((number + 1) / (len(moving) + 1))
        with effects(call, vm) as change:
            for image, sr in moving.items():
                vdi.move(change, image, sr)
            for nic, network in vif_map.items():
                change.update(nic, network=network)
