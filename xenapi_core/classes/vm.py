"""A virtual machine, a template for one, a snapshot of one, or a host's control domain."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from xenapi_core.classes import blob, placement, power, sizing
from xenapi_core.classes.availability import Availability
from xenapi_core.classes.booting import Booting
from xenapi_core.classes.cloning import Cloning
from xenapi_core.classes.cpu_pooling import CpuPooling
from xenapi_core.classes.data_sources import VMDataSources
from xenapi_core.classes.lifecycle import BUSY, VM_OPERATIONS, domain_type, vm_operations, vm_power_state
from xenapi_core.classes.migration import Migration
from xenapi_core.classes.placement import Placement
from xenapi_core.classes.power import Power
from xenapi_core.classes.sizing import Sizing
from xenapi_core.classes.snapshots import Snapshots
from xenapi_core.datamodel import (
    NULL,
    POOL_ADMIN,
    READ_ONLY,
    RO,
    RW,
    STATIC,
    VM_ADMIN,
    VM_OPERATOR,
    VM_POWER_ADMIN,
    Call,
    RecordOf,
    XenApiError,
    XenClass,
    field,
    message,
    reverse,
)
from xenapi_core.datamodel.refs import (
    BlobRef,
    ConsoleRef,
    CrashdumpRef,
    DPCIRef,
    DSCSIHBARef,
    DSCSIRef,
    HostRef,
    PCIRef,
    SRRef,
    VBDRef,
    VDIRef,
    VGPURef,
    VIFRef,
    VMApplianceRef,
    VMGuestMetricsRef,
    VMMetricsRef,
    VMPPRef,
    VMRef,
    VMSSRef,
    VTPMRef,
    VUSBRef,
)

DomainType: TypeAlias = domain_type


class on_crash_behaviour(StrEnum):
    """What happens when a guest crashes."""

    destroy = "destroy"
    coredump_and_destroy = "coredump_and_destroy"
    restart = "restart"
    coredump_and_restart = "coredump_and_restart"
    preserve = "preserve"
    rename_restart = "rename_restart"


class on_normal_exit(StrEnum):
    """What happens when a guest powers itself off or reboots itself."""

    destroy = "destroy"
    restart = "restart"


class on_softreboot_behavior(StrEnum):
    """What happens when a guest restarts its kernel by itself."""

    soft_reboot = "soft_reboot"
    destroy = "destroy"
    restart = "restart"
    preserve = "preserve"


class update_guidances(StrEnum):
    """What to do to make an update effective."""

    reboot_host = "reboot_host"
    reboot_host_on_livepatch_failure = "reboot_host_on_livepatch_failure"
    reboot_host_on_kernel_livepatch_failure = "reboot_host_on_kernel_livepatch_failure"
    reboot_host_on_xen_livepatch_failure = "reboot_host_on_xen_livepatch_failure"
    restart_toolstack = "restart_toolstack"
    restart_device_model = "restart_device_model"
    restart_vm = "restart_vm"


VMRecord = Annotated[dict[str, Any], RecordOf("VM")]

DISKS, NICS = 16, 7
"""How many of each a VM can have."""

GIVEN_BY_SERVER = ("power_state", "suspend_VDI", "memory_target", "last_booted_record", "last_boot_CPU_flags")
"""What a client may send in a record to create, and the server decides all the same."""


class VM(
    Power,
    Sizing,
    Booting,
    Placement,
    Migration,
    Cloning,
    Snapshots,
    Availability,
    CpuPooling,
    VMDataSources,
    XenClass,
    role=VM_ADMIN,
    operations=VM_OPERATIONS,
    removed=("snapshot_with_quiesce", "set_protection_policy"),
):
    """A virtual machine, a template for one, a snapshot of one, or a host's control domain."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    user_version: int = field(RW, default=0, doc="version of the VM, as its users count")

    # Lifecycle
    power_state: vm_power_state = field(STATIC, default=vm_power_state.Halted, doc="what the VM is doing")
    allowed_operations: list[vm_operations] = field(RO, doc="operations that would be accepted now")
    current_operations: dict[str, vm_operations] = field(RO, doc="operations under way: task to operation")
    blocked_operations: dict[vm_operations, str] = field(
        RW, default={}, doc="operations that users have blocked: operation to reason"
    )
    actions_after_shutdown: on_normal_exit = field(
        RW, default=on_normal_exit.destroy, doc="what happens when the guest powers itself off"
    )
    actions_after_reboot: on_normal_exit = field(
        RW, default=on_normal_exit.restart, doc="what happens when the guest reboots itself"
    )
    actions_after_crash: on_crash_behaviour = field(
        STATIC, default=on_crash_behaviour.restart, doc="what happens when the guest crashes"
    )
    actions_after_softreboot: on_softreboot_behavior = field(
        RW, default=on_softreboot_behavior.soft_reboot, doc="what happens when the guest restarts its kernel by itself"
    )
    auto_power_on: bool = field(RW, default=False, doc="whether it starts with its host (Xen-API 1.0)")

    # Where it runs
    resident_on: HostRef = field(RO, doc="the host that runs it; null without a domain")
    scheduled_to_be_resident_on: HostRef = field(
        RO, doc="the host that it is about to run on, where memory is claimed for it"
    )
    affinity: HostRef = field(RW, default=NULL, role=VM_POWER_ADMIN, doc="the host that it would rather run on")
    domid: int = field(RO, default=-1, doc="number of the domain on its host; -1 without a domain")
    domarch: str = field(RO, doc="architecture of the domain")
    is_control_domain: bool = field(RO, doc="whether it is the domain that runs the host")

    # Memory
    memory_static_max: int = field(STATIC, doc="most memory that it can ever have; set while halted (bytes)")
    memory_dynamic_max: int = field(STATIC, default=0, doc="most memory that it may have now (bytes)")
    memory_dynamic_min: int = field(STATIC, default=0, doc="least memory that it may have now (bytes)")
    memory_static_min: int = field(
        STATIC, default=0, doc="least memory that it can ever have; set while halted (bytes)"
    )
    memory_target: int = field(STATIC, default=0, doc="memory that it is meant to have now (bytes); 0 without a domain")
    memory_overhead: int = field(RO, doc="memory that the host needs to run it, beyond its own (bytes)")

    # Virtual CPUs
    VCPUs_max: int = field(STATIC, default=1, doc="most virtual CPUs that it can have")
    VCPUs_at_startup: int = field(STATIC, default=1, doc="virtual CPUs that it starts with")
    VCPUs_params: dict[str, str] = field(RW, default={}, doc="scheduling parameters: weight, cap, mask")

    # How it boots
    domain_type: DomainType = field(STATIC, default=domain_type.unspecified, doc="how its domain is built")
    HVM_boot_policy: str = field(
        STATIC, default="", doc="how it boots with hardware virtualization; empty for paravirtualized"
    )
    HVM_boot_params: dict[str, str] = field(RW, default={}, doc="parameters of that: order, firmware")
    HVM_shadow_multiplier: float = field(
        STATIC, default=1.0, doc="factor of the memory set aside for shadow page tables"
    )
    PV_bootloader: str = field(RW, default="", doc="boot loader of a paravirtualized VM, run on the host")
    PV_kernel: str = field(RW, default="", doc="kernel of a paravirtualized VM")
    PV_ramdisk: str = field(RW, default="", doc="initial RAM disk of a paravirtualized VM")
    PV_args: str = field(RW, default="", doc="command line of that kernel")
    PV_bootloader_args: str = field(RW, default="", doc="arguments of that boot loader")
    PV_legacy_args: str = field(RW, default="", doc="arguments that make a Zurich VM boot")
    platform: dict[str, str] = field(
        RW, default={}, doc="settings of the virtual platform: acpi, apic, viridian, device-model"
    )
    bios_strings: dict[str, str] = field(RO, doc="strings that its BIOS shows")
    NVRAM: dict[str, str] = field(STATIC, default={}, doc="variables of its UEFI firmware")
    last_boot_CPU_flags: dict[str, str] = field(STATIC, default={}, doc="features of the CPU that it last booted on")
    last_booted_record: str = field(STATIC, default="", doc="the VM as it was when it last booted")
    hardware_platform_version: int = field(RW, default=0, doc="least virtual platform of a host that can run it")
    has_vendor_device: bool = field(
        STATIC, default=False, doc="whether the guest sees the device that makes Windows fetch drivers"
    )
    requires_reboot: bool = field(RO, doc="whether it must reboot before all changes take effect")
    generation_id: str = field(STATIC, default="0:0", doc="number that changes when the VM goes back in time")

    # Devices
    consoles: list[ConsoleRef] = reverse("console", "VM", doc="its consoles")
    VIFs: list[VIFRef] = reverse("VIF", "VM", doc="its virtual NICs")
    VBDs: list[VBDRef] = reverse("VBD", "VM", doc="its virtual block devices")
    VTPMs: list[VTPMRef] = reverse("VTPM", "VM", doc="its virtual TPMs")
    VUSBs: list[VUSBRef] = reverse("VUSB", "VM", doc="its virtual USB devices")
    VGPUs: list[VGPURef] = reverse("VGPU", "VM", doc="its virtual GPUs")
    attached_PCIs: list[PCIRef] = field(RO, doc="PCI devices given to it")
    PCI_bus: str = field(RW, default="", doc="PCI devices given to it, as text")
    DPCIs: list[DPCIRef] = reverse("DPCI", "VM", doc="PCI devices given to it (Xen-API 1.0)")
    DSCSIs: list[DSCSIRef] = reverse("DSCSI", "VM", doc="SCSI devices given to it (Xen-API 1.0)")
    DSCSI_HBAs: list[DSCSIHBARef] = reverse("DSCSI_HBA", "VM", doc="SCSI host bus adapters given to it (Xen-API 1.0)")

    # What is measured
    metrics: VMMetricsRef = field(RO, doc="what is measured of it")
    guest_metrics: VMGuestMetricsRef = field(RO, doc="what its guest tells; null without a running agent")
    crash_dumps: list[CrashdumpRef] = reverse("crashdump", "VM", doc="dumps of its crashes")

    # Suspending
    suspend_VDI: VDIRef = field(STATIC, default=NULL, doc="the image that holds its memory while it is suspended")
    suspend_SR: SRRef = field(RW, default=NULL, doc="where that image is made")

    # Templates and snapshots
    is_a_template: bool = field(RW, default=False, doc="whether it is a template, which cannot start")
    is_default_template: bool = field(RO, doc="whether it came with the product")
    is_a_snapshot: bool = field(RO, doc="whether it is a snapshot")
    snapshot_of: VMRef = field(RO, doc="the VM that it is a snapshot of")
    snapshots: list[VMRef] = reverse("VM", "snapshot_of", doc="its snapshots")
    snapshot_time: datetime = field(RO, doc="when the snapshot was made")
    snapshot_info: dict[str, str] = field(RO, doc="more about the snapshot")
    snapshot_metadata: str = field(RO, doc="the VM as it was when the snapshot was made")
    transportable_snapshot_id: str = field(RO, doc="name of the snapshot outside the pool")
    parent: VMRef = field(RO, doc="the VM or snapshot that it was made from")
    children: list[VMRef] = reverse("VM", "parent", doc="VMs and snapshots made from it")
    snapshot_schedule: VMSSRef = field(STATIC, default=NULL, doc="the schedule by which snapshots are made")
    is_vmss_snapshot: bool = field(STATIC, default=False, doc="whether a schedule made the snapshot")
    protection_policy: VMPPRef = field(STATIC, default=NULL, doc="the protection policy of old")
    is_snapshot_from_vmpp: bool = field(STATIC, default=False, doc="whether a protection policy made the snapshot")

    # Starting together
    appliance: VMApplianceRef = field(STATIC, default=NULL, doc="the appliance that it belongs to")
    order: int = field(STATIC, default=0, doc="place in the order in which VMs start")
    start_delay: int = field(STATIC, default=0, doc="time to wait after its start (s)")
    shutdown_delay: int = field(STATIC, default=0, doc="time to wait before its shutdown (s)")
    ha_always_run: bool = field(
        STATIC, default=False, doc="whether it is kept running; by now ha_restart_priority says so"
    )
    ha_restart_priority: str = field(
        STATIC, default="", doc="whether and when it is restarted after its host fails: restart, best-effort or empty"
    )

    # Updates
    version: int = field(STATIC, default=0, doc="how often it was recovered from a disaster")
    pending_guidances: list[update_guidances] = field(RO, doc="what must be done to make updates effective")
    pending_guidances_recommended: list[update_guidances] = field(
        RO, doc="what should be done to make updates effective"
    )
    pending_guidances_full: list[update_guidances] = field(
        RO, doc="what could be done to make updates wholly effective"
    )

    # For people and clients
    recommendations: str = field(RW, default="", doc="limits that clients should keep to, as XML")
    reference_label: str = field(STATIC, default="", doc="the template that it came from, the same in all languages")
    xenstore_data: dict[str, str] = field(
        RW, default={}, doc="entries put into the guest's part of xenstore when it starts"
    )
    abandoned_on: HostRef = field(
        RO, default=NULL, internal=True, doc="host where an operation that a shutdown overtook may still build a domain"
    )
    pool_name: str = field(RO, internal=True, doc="name of the CPU pool that it is meant for (Xen-API 1.0)")
    security_label: str = field(RO, doc="label of the access policy of Xen-API 1.0")
    tags: list[str] = field(RW, default=(), role=VM_OPERATOR, doc="words that users have tagged the object with")
    blobs: dict[str, BlobRef] = field(RO, doc="binary data kept with the object, by name")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    # To make and to remove

    @message(role=VM_ADMIN, asynchronous=True, errors=("INVALID_VALUE", "MEMORY_CONSTRAINT_VIOLATION"))
    def create(call: Call, args: VMRecord) -> VMRef:
        """Create a VM, halted and without devices, and return its reference.

        memory_static_max has to be given; other memory limits that are missing follow from it.
        """
        values = {name: value for name, value in args.items() if name not in GIVEN_BY_SERVER}
        if "memory_static_max" not in values:
            raise XenApiError("INVALID_VALUE", "memory_static_max", "")
        values["memory_dynamic_max"] = values.get("memory_dynamic_max") or values["memory_static_max"]
        values["memory_dynamic_min"] = values.get("memory_dynamic_min") or values["memory_dynamic_max"]
        with call.store.write() as change:
            metrics = change.create("VM_metrics", {"install_time": datetime.now(UTC)})
            vm = change.create("VM", {**values, "metrics": metrics})
            record = change.record(vm)
            sizing.Limits.of(record).check()
            sizing.check_vcpus(record["VCPUs_at_startup"], record["VCPUs_max"])
            change.update(vm, memory_overhead=placement.overhead(record))
        return vm

    @message(role=VM_ADMIN, asynchronous=True, errors=BUSY)
    def destroy(call: Call, self: VMRef) -> None:
        """Destroy a halted or suspended VM with its devices; its disk images stay."""
        power.destroy(call, self)

    # To ask what is possible

    @message(role=READ_ONLY, errors=BUSY)
    def assert_operation_valid(call: Call, self: VMRef, op: vm_operations) -> None:
        """Raise the error that an operation would end in now, if it would be refused."""
        VM_OPERATIONS.check(call.store, call.record(self, "VM"), op)

    @message(role=POOL_ADMIN)
    def update_allowed_operations(call: Call, self: VMRef) -> None:
        """Work out allowed_operations anew. There is no need to: it is always up to date."""
        with call.store.write() as change:
            change.touch(self)

    @message(role=READ_ONLY)
    def get_allowed_VBD_devices(call: Call, vm: VMRef) -> list[str]:
        """Return the values of VBD.userdevice that are free in a VM."""
        taken = {call.record(vbd)["userdevice"] for vbd in call.record(vm, "VM")["VBDs"]}
        return [str(number) for number in range(DISKS) if str(number) not in taken]

    @message(role=READ_ONLY)
    def get_allowed_VIF_devices(call: Call, vm: VMRef) -> list[str]:
        """Return the values of VIF.device that are free in a VM."""
        taken = {call.record(vif)["device"] for vif in call.record(vm, "VM")["VIFs"]}
        return [str(number) for number in range(NICS) if str(number) not in taken]

    @message(role=VM_OPERATOR, asynchronous=True, errors=("XENAPI_MISSING_PLUGIN", *BUSY))
    def call_plugin(call: Call, vm: VMRef, plugin: str, fn: str, args: dict[str, str]) -> str:
        """Call a function of a plugin in a running VM's guest agent; the agents known here have none."""
        VM_OPERATIONS.check(call.store, call.record(vm, "VM"), "call_plugin")
        raise XenApiError("XENAPI_MISSING_PLUGIN", plugin)

    @message(role=POOL_ADMIN, asynchronous=True)
    def query_services(call: Call, self: VMRef) -> dict[str, str]:
        """Return the services that a driver domain offers, with their addresses; only driver domains offer any."""
        VM_OPERATIONS.check(call.store, call.record(self, "VM"), "query_services")
        return {}

    @message(role=VM_POWER_ADMIN, asynchronous=True)
    def create_new_blob(call: Call, vm: VMRef, name: str, mime_type: str, public: bool = False) -> BlobRef:
        """Make an empty blob that is kept with a VM under a name, and return its reference."""
        with call.store.write() as change:
            return blob.attach(change, vm, name, mime_type, public=public)

    @message(role=VM_ADMIN, asynchronous=True, errors=("SECURITY_ERROR",))
    def set_security_label(call: Call, self: VMRef, security_label: str, old_label: str) -> int:
        """Set the label of Xen-API 1.0's access policy, if it is ``old_label`` now. Returns 0: no policy numbers it."""
        with call.store.write() as change:
            if change.record(self, "VM")["security_label"] != old_label:
                raise XenApiError("SECURITY_ERROR", -2, "the label is not the old one that was named")
            change.update(self, security_label=security_label)
        return 0

    @message(role=VM_ADMIN)
    def set_actions_after_crash(call: Call, self: VMRef, value: on_crash_behaviour) -> None:
        """Set what happens when a VM's guest crashes."""
        with call.store.write() as change:
            change.update(self, actions_after_crash=value)

    @message(role=VM_ADMIN, errors=BUSY)
    def set_is_a_template(call: Call, self: VMRef, value: bool) -> None:
        """Make a halted VM a template, or a template a VM."""
        with call.store.write() as change:
            record = change.record(self, "VM")
            if value and not record["is_a_template"]:
                VM_OPERATIONS.check(change, record, "make_into_template")
            if not value and record["is_a_template"]:
                change.update(record["metrics"], install_time=datetime.now(UTC))
            change.update(self, is_a_template=value)
