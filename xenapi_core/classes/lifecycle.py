"""The lifecycle of a VM: one table of operations and the power states in which each may begin.

From the table follow the checks before an operation, in their order, and ``VM.allowed_operations``. The decision
depends only on a VM's ``Standing``, so there are few different ones, and each is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from xenapi_core.datamodel import NULL, Objects, Operations, Record, XenApiError


class vm_power_state(StrEnum):
    """What a VM is doing."""

    Halted = "Halted"
    Paused = "Paused"
    Running = "Running"
    Suspended = "Suspended"
    Crashed = "Crashed"
    Unknown = "Unknown"


class vm_operations(StrEnum):
    """What may be done with a VM."""

    snapshot = "snapshot"
    clone = "clone"
    copy = "copy"
    create_template = "create_template"
    revert = "revert"
    checkpoint = "checkpoint"
    snapshot_with_quiesce = "snapshot_with_quiesce"
    provision = "provision"
    start = "start"
    start_on = "start_on"
    pause = "pause"
    unpause = "unpause"
    clean_shutdown = "clean_shutdown"
    clean_reboot = "clean_reboot"
    hard_shutdown = "hard_shutdown"
    power_state_reset = "power_state_reset"
    hard_reboot = "hard_reboot"
    suspend = "suspend"
    csvm = "csvm"
    resume = "resume"
    resume_on = "resume_on"
    pool_migrate = "pool_migrate"
    migrate_send = "migrate_send"
    get_boot_record = "get_boot_record"
    send_sysrq = "send_sysrq"
    send_trigger = "send_trigger"
    query_services = "query_services"
    shutdown = "shutdown"
    call_plugin = "call_plugin"
    changing_memory_live = "changing_memory_live"
    awaiting_memory_live = "awaiting_memory_live"
    changing_dynamic_range = "changing_dynamic_range"
    changing_static_range = "changing_static_range"
    changing_memory_limits = "changing_memory_limits"
    changing_shadow_memory = "changing_shadow_memory"
    changing_shadow_memory_live = "changing_shadow_memory_live"
    changing_VCPUs = "changing_VCPUs"
    changing_VCPUs_live = "changing_VCPUs_live"
    changing_NVRAM = "changing_NVRAM"
    assert_operation_valid = "assert_operation_valid"
    data_source_op = "data_source_op"
    update_allowed_operations = "update_allowed_operations"
    make_into_template = "make_into_template"
    import_ = "import"
    export = "export"
    metadata_export = "metadata_export"
    reverting = "reverting"
    destroy = "destroy"
    create_vtpm = "create_vtpm"


class domain_type(StrEnum):
    """How a domain is built."""

    hvm = "hvm"
    pv = "pv"
    pv_in_pvh = "pv_in_pvh"
    pvh = "pvh"
    unspecified = "unspecified"


State: TypeAlias = vm_power_state
Op: TypeAlias = vm_operations

HALTED = (State.Halted,)
PAUSED = (State.Paused,)
RUNNING = (State.Running,)
SUSPENDED = (State.Suspended,)
HALTED_OR_RUNNING = (State.Halted, State.Running)
HALTED_OR_SUSPENDED = (State.Halted, State.Suspended)
PAUSED_OR_RUNNING = (State.Paused, State.Running)
ALIVE = (State.Paused, State.Suspended, State.Running)
UP_OR_CRASHED = (State.Paused, State.Running, State.Crashed)
ALIVE_OR_CRASHED = (State.Paused, State.Suspended, State.Running, State.Crashed)
ANY = tuple(State)

BUSY = (
    "VM_BAD_POWER_STATE",
    "OTHER_OPERATION_IN_PROGRESS",
    "OPERATION_BLOCKED",
    "OPERATION_NOT_ALLOWED",
    "VM_IS_TEMPLATE",
    "VM_IS_SNAPSHOT",
)
"""What any operation may be refused with."""

STATES: dict[vm_operations, tuple[vm_power_state, ...]] = {
    Op.start: HALTED,
    Op.start_on: HALTED,
    Op.provision: HALTED,
    Op.make_into_template: HALTED,
    Op.create_vtpm: HALTED,
    Op.changing_VCPUs: HALTED,
    Op.changing_static_range: HALTED,
    Op.changing_memory_limits: HALTED,
    Op.changing_shadow_memory: HALTED,
    Op.changing_NVRAM: HALTED,
    Op.clone: HALTED,
    Op.copy: HALTED,
    Op.unpause: PAUSED,
    Op.resume: SUSPENDED,
    Op.resume_on: SUSPENDED,
    Op.csvm: SUSPENDED,
    Op.pause: RUNNING,
    Op.suspend: RUNNING,
    Op.clean_shutdown: RUNNING,
    Op.clean_reboot: RUNNING,
    Op.pool_migrate: RUNNING,
    Op.send_sysrq: RUNNING,
    Op.send_trigger: RUNNING,
    Op.call_plugin: RUNNING,
    Op.data_source_op: RUNNING,
    Op.snapshot_with_quiesce: RUNNING,
    Op.awaiting_memory_live: RUNNING,
    Op.changing_memory_live: RUNNING,
    Op.changing_shadow_memory_live: RUNNING,
    Op.changing_VCPUs_live: RUNNING,
    Op.changing_dynamic_range: HALTED_OR_RUNNING,
    Op.destroy: HALTED_OR_SUSPENDED,
    Op.export: HALTED_OR_SUSPENDED,
    Op.create_template: HALTED_OR_SUSPENDED,
    Op.hard_reboot: UP_OR_CRASHED,
    Op.checkpoint: ALIVE,
    Op.get_boot_record: ALIVE,
    Op.shutdown: ALIVE,
    Op.hard_shutdown: ALIVE_OR_CRASHED,
    Op.migrate_send: (State.Halted, State.Suspended, State.Running),
    Op.snapshot: ANY,
    Op.revert: ANY,
    Op.reverting: ANY,
    Op.import_: ANY,
    Op.metadata_export: ANY,
    Op.power_state_reset: ANY,
    Op.query_services: ANY,
    Op.assert_operation_valid: ANY,
    Op.update_allowed_operations: ANY,
}
"""The power states in which each operation may begin, in the order in which errors name them."""

RESIZABLE_CONTROL_DOMAIN = frozenset({Op.changing_VCPUs, Op.changing_static_range, Op.changing_memory_limits})
"""Operations that a control domain, which always runs, allows although others have to be halted for them."""

COPYABLE = HALTED_OR_SUSPENDED
"""The power states in which a snapshot can be cloned and copied: one of a running VM keeps its memory."""

ADVERTISED = (
    Op.start,
    Op.start_on,
    Op.pause,
    Op.unpause,
    Op.suspend,
    Op.resume,
    Op.resume_on,
    Op.clean_shutdown,
    Op.clean_reboot,
    Op.hard_shutdown,
    Op.hard_reboot,
    Op.changing_dynamic_range,
    Op.changing_static_range,
    Op.changing_memory_limits,
    Op.changing_shadow_memory,
    Op.changing_VCPUs,
    Op.changing_VCPUs_live,
    Op.changing_NVRAM,
    Op.make_into_template,
    Op.create_vtpm,
    Op.clone,
    Op.copy,
    Op.snapshot,
    Op.checkpoint,
    Op.revert,
    Op.provision,
    Op.pool_migrate,
    Op.migrate_send,
    Op.destroy,
)
"""Operations that ``allowed_operations`` speaks of: those that clients can ask for."""

FOR_TEMPLATES = frozenset(
    {
        Op.clone,
        Op.copy,
        Op.export,
        Op.metadata_export,
        Op.provision,
        Op.changing_VCPUs,
        Op.changing_VCPUs_live,
        Op.changing_memory_live,
        Op.changing_memory_limits,
        Op.changing_dynamic_range,
        Op.changing_static_range,
        Op.changing_shadow_memory,
        Op.changing_NVRAM,
        Op.create_vtpm,
        Op.snapshot,
        Op.assert_operation_valid,
        Op.update_allowed_operations,
    }
)
"""What may be done with a template."""

FOR_OWN_TEMPLATES = frozenset({Op.destroy, Op.migrate_send})
"""What may also be done with a template that did not come with the product."""

FOR_SNAPSHOTS = frozenset(
    {
        Op.revert,
        Op.clone,
        Op.copy,
        Op.export,
        Op.metadata_export,
        Op.destroy,
        Op.hard_shutdown,
        Op.create_template,
        Op.assert_operation_valid,
        Op.update_allowed_operations,
    }
)
"""What may be done with a snapshot."""

FOR_CONTROL_DOMAINS = frozenset(
    {
        *RESIZABLE_CONTROL_DOMAIN,
        Op.changing_dynamic_range,
        Op.data_source_op,
        Op.get_boot_record,
        Op.metadata_export,
        Op.query_services,
        Op.assert_operation_valid,
        Op.update_allowed_operations,
    }
)
"""What may be done with the domain that runs a host."""

STANDING_STILL = frozenset({Op.suspend, Op.checkpoint, Op.pool_migrate, Op.migrate_send})
"""Operations that need a running guest's memory to be written or moved."""

FEATURES = {
    Op.clean_shutdown: "feature-shutdown",
    Op.clean_reboot: "feature-reboot",
    Op.changing_VCPUs_live: "feature-vcpu-hotplug",
    **dict.fromkeys(STANDING_STILL, "feature-suspend"),
}
"""What the agent of a fully virtualized guest without paravirtual drivers must tell that the guest can do."""

CANNOT_SUSPEND = "data-cant-suspend-reason"
"""The key under which a guest's agent tells why it cannot be suspended."""

_COPYING = frozenset({Op.clone, Op.copy, Op.export})
_SNAPSHOTTING = frozenset({Op.snapshot, Op.checkpoint})
_HARD = frozenset({Op.hard_shutdown, Op.hard_reboot})
_CLEAN = frozenset({Op.clean_shutdown, Op.clean_reboot})
_ASKING = frozenset({Op.assert_operation_valid, Op.update_allowed_operations})


def compatible(operation: vm_operations, current: vm_operations) -> bool:
    """Tell whether an operation may begin while another one is under way."""
    return (
        operation in _ASKING
        or {operation, current} <= _COPYING
        or {operation, current} <= _SNAPSHOTTING
        or (operation == Op.hard_shutdown and current != Op.hard_shutdown)
        or (operation == Op.hard_reboot and current not in _HARD)
        or (operation in _CLEAN and current == Op.migrate_send)
    )


class Standing(NamedTuple):
    """All that decides which operations a VM allows."""

    power_state: vm_power_state
    is_a_template: bool
    is_default_template: bool
    is_a_snapshot: bool
    is_control_domain: bool
    blocked: frozenset[vm_operations]
    current: tuple[vm_operations, ...]
    immobile: bool = False
    lacking: frozenset[vm_operations] = frozenset()
    """Operations that the guest does not support."""
    cannot_suspend: str = ""
    """Why the guest cannot be suspended, as its agent tells."""
    devices: tuple[Refusal, ...] = ()
    """What devices of its host the VM holds."""
    in_appliance: bool = False
    in_schedule: bool = False

    @classmethod
    def of(cls, objects: Objects, vm: Record) -> Standing:
        """Return the standing of a VM."""
        running = vm["power_state"] == State.Running and not vm["is_control_domain"]
        guest = objects.get(vm["guest_metrics"]) if running else None
        return cls(
            vm["power_state"],
            vm["is_a_template"],
            vm["is_default_template"],
            vm["is_a_snapshot"],
            vm["is_control_domain"],
            frozenset(vm["blocked_operations"]),
            tuple(vm["current_operations"].values()),
            _is_set(vm, "nomigrate") or _is_set(vm, "nested-virt"),
            _lacking(vm, guest) if running else frozenset(),
            guest["other"].get(CANNOT_SUSPEND, "") if guest else "",
            tuple(refusal for name, refusal in HELD_DEVICES.items() if vm[name]),
            vm["appliance"] != NULL,
            vm["snapshot_schedule"] != NULL,
        )


def _is_set(vm: Record, setting: str) -> bool:
    platform: dict[str, str] = vm["platform"]
    return platform.get(setting, "").lower() in ("1", "true")


def _lacking(vm: Record, guest: Record | None) -> frozenset[vm_operations]:
    """Return what a running guest does not support; paravirtual drivers imply everything."""
    if not vm["HVM_boot_policy"] or (guest and guest["PV_drivers_detected"]):
        return frozenset()
    told = guest["other"] if guest else {}
    return frozenset(operation for operation, feature in FEATURES.items() if told.get(feature) != "1")


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    blocked = "OPERATION_BLOCKED"
    bad_power_state = "VM_BAD_POWER_STATE"
    busy = "OTHER_OPERATION_IN_PROGRESS"
    is_template = "VM_IS_TEMPLATE"
    is_snapshot = "VM_IS_SNAPSHOT"
    not_template = "PROVISION_ONLY_ALLOWED_ON_TEMPLATE"
    not_snapshot = "REVERT_ONLY_ALLOWED_ON_SNAPSHOT"
    control_domain = "OPERATION_NOT_ALLOWED"
    immobile = "VM_IS_IMMOBILE"
    lacks_feature = "VM_LACKS_FEATURE"
    non_suspendable = "VM_NON_SUSPENDABLE"
    has_pci = "VM_HAS_PCI_ATTACHED"
    has_vgpu = "VM_HAS_VGPU"
    has_vusb = "VM_HAS_VUSBS"
    in_appliance = "VM_IS_PART_OF_AN_APPLIANCE"
    in_schedule = "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE"


HELD_DEVICES = {"attached_PCIs": Refusal.has_pci, "VGPUs": Refusal.has_vgpu, "VUSBs": Refusal.has_vusb}
"""Fields that name devices of a host, which cannot move with a VM, and what it means to have some."""


@dataclass(frozen=True)
class Check:
    """One check before an operation."""

    refusal: Refusal
    fails: Callable[[Standing, vm_operations], bool]


def states(
    operation: vm_operations, *, control_domain: bool = False, snapshot: bool = False
) -> tuple[vm_power_state, ...]:
    """Return the power states in which an operation may begin."""
    if control_domain and operation in RESIZABLE_CONTROL_DOMAIN:
        return HALTED_OR_RUNNING
    if snapshot and operation in _COPYING:
        return COPYABLE
    return STATES[operation]


def _not_for_template(vm: Standing, operation: vm_operations) -> bool:
    if not vm.is_a_template or vm.is_a_snapshot:
        return False
    return operation not in FOR_TEMPLATES and (vm.is_default_template or operation not in FOR_OWN_TEMPLATES)


def _holding(device: Refusal) -> Check:
    return Check(device, lambda vm, op: device in vm.devices and op in STANDING_STILL)


CHECKS = (
    Check(Refusal.blocked, lambda vm, op: op in vm.blocked),
    Check(
        Refusal.bad_power_state,
        lambda vm, op: vm.power_state not in states(op, control_domain=vm.is_control_domain, snapshot=vm.is_a_snapshot),
    ),
    Check(Refusal.busy, lambda vm, op: not all(compatible(op, current) for current in vm.current)),
    Check(Refusal.is_template, _not_for_template),
    Check(Refusal.is_snapshot, lambda vm, op: vm.is_a_snapshot and op not in FOR_SNAPSHOTS),
    Check(Refusal.not_template, lambda vm, op: op == Op.provision and not vm.is_a_template),
    Check(Refusal.not_snapshot, lambda vm, op: op == Op.revert and not vm.is_a_snapshot),
    Check(Refusal.immobile, lambda vm, op: vm.immobile and op in STANDING_STILL),
    Check(Refusal.control_domain, lambda vm, op: vm.is_control_domain and op not in FOR_CONTROL_DOMAINS),
    Check(Refusal.lacks_feature, lambda vm, op: op in vm.lacking),
    Check(Refusal.non_suspendable, lambda vm, op: bool(vm.cannot_suspend) and op in STANDING_STILL),
    *(_holding(device) for device in HELD_DEVICES.values()),
    Check(Refusal.in_appliance, lambda vm, op: vm.in_appliance and op == Op.make_into_template),
    Check(Refusal.in_schedule, lambda vm, op: vm.in_schedule and op == Op.make_into_template),
)
"""All checks, in their order: the first that fails names the error."""


@lru_cache(maxsize=4096)
def refusal(vm: Standing, operation: vm_operations) -> Refusal | None:
    """Return why an operation cannot begin, None if it can."""
    return next((check.refusal for check in CHECKS if check.fails(vm, operation)), None)


@lru_cache(maxsize=4096)
def allowed_operations(vm: Standing) -> tuple[vm_operations, ...]:
    """Return the advertised operations that can begin."""
    return tuple(operation for operation in ADVERTISED if refusal(vm, operation) is None)


def bad_power_state(vm: Record, *expected: vm_power_state) -> XenApiError:
    """Return the error that a VM is in none of the expected power states."""
    wanted = ", ".join(state.lower() for state in expected)
    return XenApiError("VM_BAD_POWER_STATE", vm.ref, wanted, vm["power_state"].lower())


def error(why: Refusal, objects: Objects, vm: Record, operation: vm_operations) -> XenApiError:
    """Return the error that tells a client why an operation cannot begin."""
    match why:
        case Refusal.blocked:
            return XenApiError(why.value, vm.ref, vm["blocked_operations"][operation])
        case Refusal.bad_power_state:
            control_domain, snapshot = vm["is_control_domain"], vm["is_a_snapshot"]
            return bad_power_state(vm, *states(operation, control_domain=control_domain, snapshot=snapshot))
        case Refusal.busy:
            current: dict[str, vm_operations] = vm["current_operations"]
            task, other = next((task, op) for task, op in current.items() if not compatible(operation, op))
            return XenApiError(why.value, "VM", vm.ref, other, task)
        case Refusal.control_domain:
            return XenApiError(why.value, f"{operation} is not possible for a host's control domain")
        case Refusal.not_template | Refusal.not_snapshot:
            return XenApiError(why.value)
        case Refusal.immobile | Refusal.lacks_feature | Refusal.has_pci | Refusal.has_vgpu | Refusal.has_vusb:
            return XenApiError(why.value, vm.ref)
        case Refusal.non_suspendable:
            return XenApiError(why.value, vm.ref, objects.record(vm["guest_metrics"])["other"][CANNOT_SUSPEND])
        case Refusal.in_appliance:
            return XenApiError(why.value, vm.ref, vm["appliance"])
        case Refusal.in_schedule:
            return XenApiError(why.value, vm.ref, vm["snapshot_schedule"])
        case _:
            return XenApiError(why.value, vm.ref, operation)


class VMOperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        asked = vm_operations(operation)
        why = refusal(Standing.of(objects, record), asked)
        if why is not None:
            raise error(why, objects, record, asked)

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the advertised operations that can begin now."""
        return allowed_operations(Standing.of(objects, record))

    def dependents(self, record: Record) -> Iterable[str]:
        """Return the devices whose allowed operations follow from the VM's power state."""
        return (*record["VBDs"], *record["VIFs"])


VM_OPERATIONS = VMOperations()
