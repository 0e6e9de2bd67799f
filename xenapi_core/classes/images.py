"""The states of a disk image: one table of operations and when each may begin.

From it follow the checks before an operation, in their order, and ``VDI.allowed_operations``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from xenapi_core.classes import drivers
from xenapi_core.datamodel import NULL, Objects, Operations, Record, XenApiError


class vdi_operations(StrEnum):
    """What may be done with a disk image."""

    clone = "clone"
    copy = "copy"
    resize = "resize"
    resize_online = "resize_online"
    snapshot = "snapshot"
    mirror = "mirror"
    destroy = "destroy"
    forget = "forget"
    update = "update"
    force_unlock = "force_unlock"
    generate_config = "generate_config"
    enable_cbt = "enable_cbt"
    disable_cbt = "disable_cbt"
    data_destroy = "data_destroy"
    list_changed_blocks = "list_changed_blocks"
    set_on_boot = "set_on_boot"
    blocked = "blocked"


Op: TypeAlias = vdi_operations


class Use(IntEnum):
    """How domains use an image now."""

    none = 0
    reading = 1
    writing = 2


class Reach(StrEnum):
    """Whether hosts reach the repository of an image."""

    attached = "attached"
    detached = "detached"
    unknown = "unknown"
    """No host knows how."""


class Rule(NamedTuple):
    """When an operation may begin."""

    feature: str
    """What the storage must be able to do; empty: nothing special."""
    use: Use
    """The most that domains may do with the image meanwhile."""
    reset_on_boot: bool = True
    """Whether images that are reset when their VM starts allow it."""
    metadata: bool = False
    """Whether an image whose data is gone, and only the list of changed blocks left, allows it."""


TABLE: dict[vdi_operations, Rule] = {
    Op.snapshot: Rule("VDI_SNAPSHOT", Use.writing, reset_on_boot=False),
    Op.clone: Rule("VDI_CLONE", Use.reading, reset_on_boot=False),
    Op.copy: Rule("", Use.reading),
    Op.resize: Rule("VDI_RESIZE", Use.none),
    Op.resize_online: Rule("VDI_RESIZE_ONLINE", Use.writing),
    Op.mirror: Rule("VDI_MIRROR", Use.writing),
    Op.destroy: Rule("VDI_DELETE", Use.none, metadata=True),
    Op.forget: Rule("", Use.none, metadata=True),
    Op.update: Rule("VDI_UPDATE", Use.writing),
    Op.enable_cbt: Rule("VDI_CONFIG_CBT", Use.writing, reset_on_boot=False),
    Op.disable_cbt: Rule("VDI_CONFIG_CBT", Use.writing, reset_on_boot=False),
    Op.data_destroy: Rule("VDI_CONFIG_CBT", Use.none, metadata=True),
    Op.list_changed_blocks: Rule("VDI_CONFIG_CBT", Use.writing, metadata=True),
    Op.set_on_boot: Rule("VDI_RESET_ON_BOOT", Use.none),
}
"""The operations that clients can ask for, in the order of ``allowed_operations``."""

TOGETHER = frozenset({Op.clone, Op.copy, Op.snapshot})
"""Operations that may run at the same time."""

WITHOUT_REPOSITORY = frozenset({Op.forget})
"""Operations that need no host to reach the repository, nor the image to be there."""

UNTRACKED = frozenset({Op.mirror, Op.set_on_boot})
"""Operations that an image whose changed blocks are tracked does not allow."""


class Standing(NamedTuple):
    """All that decides which operations an image allows."""

    kind: str
    """Of its repository."""
    reach: Reach
    use: Use
    plugging: bool
    """A device that shows it to a VM is being attached or detached."""
    current: tuple[vdi_operations, ...]
    missing: bool
    reset_on_boot: bool
    tracked: bool
    metadata: bool

    @classmethod
    def of(cls, objects: Objects, vdi: Record) -> Standing:
        """Return the standing of an image."""
        repository = objects.get(vdi["SR"])
        devices = [objects.record(vbd) for vbd in vdi["VBDs"]]
        return cls(
            repository["type"] if repository else "",
            reach(objects, repository),
            use(devices),
            any(vbd["current_operations"] for vbd in devices),
            tuple(vdi["current_operations"].values()),
            vdi["missing"],
            vdi["on_boot"] == "reset",
            vdi["cbt_enabled"],
            vdi["type"] == "cbt_metadata",
        )


def reach(objects: Objects, repository: Record | None) -> Reach:
    """Return whether hosts reach a repository."""
    if repository is None or not repository["PBDs"]:
        return Reach.unknown
    attached = any(objects.record(pbd)["currently_attached"] for pbd in repository["PBDs"])
    return Reach.attached if attached else Reach.detached


def use(devices: Iterable[Record]) -> Use:
    """Return how domains use an image that is in these devices."""
    modes = [Use.writing if vbd["mode"] == "RW" else Use.reading for vbd in devices if vbd["currently_attached"]]
    return max(modes, default=Use.none)


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    busy = "OTHER_OPERATION_IN_PROGRESS"
    no_attachment = "SR_HAS_NO_PBDS"
    not_attached = "SR_NOT_ATTACHED"
    missing = "VDI_MISSING"
    in_use = "VDI_IN_USE"
    physical = "VDI_IS_A_PHYSICAL_DEVICE"
    not_supported = "SR_OPERATION_NOT_SUPPORTED"
    incompatible_type = "VDI_INCOMPATIBLE_TYPE"
    reset_on_boot = "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"
    tracked = "VDI_CBT_ENABLED"


def _refusals(vdi: Standing, operation: vdi_operations) -> Iterator[Refusal]:
    rule = TABLE[operation]
    if any(not {operation, current} <= TOGETHER for current in vdi.current):
        yield Refusal.busy
    if operation not in WITHOUT_REPOSITORY:
        if vdi.reach is Reach.unknown:
            yield Refusal.no_attachment
        if vdi.reach is Reach.detached:
            yield Refusal.not_attached
        if vdi.missing:
            yield Refusal.missing
    if vdi.use > rule.use or vdi.plugging:
        yield Refusal.in_use
    if vdi.kind == "udev" and operation is Op.destroy:
        yield Refusal.physical
    if rule.feature and not drivers.supports(vdi.kind, rule.feature):
        yield Refusal.not_supported
    if vdi.metadata and not rule.metadata:
        yield Refusal.incompatible_type
    if vdi.reset_on_boot and not rule.reset_on_boot:
        yield Refusal.reset_on_boot
    if vdi.tracked and operation in UNTRACKED:
        yield Refusal.tracked


def refusal(vdi: Standing, operation: vdi_operations) -> Refusal | None:
    """Return why an operation cannot begin, None if it can."""
    return next(_refusals(vdi, operation), None)


@lru_cache(maxsize=1024)
def allowed_operations(vdi: Standing) -> tuple[vdi_operations, ...]:
    """Return the operations that can begin."""
    return tuple(operation for operation in TABLE if refusal(vdi, operation) is None)


class VDIOperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        why = refusal(Standing.of(objects, record), vdi_operations(operation))
        if why is not None:
            raise XenApiError(why.value, *_parameters(why, record, operation))

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return allowed_operations(Standing.of(objects, record))


def _parameters(why: Refusal, vdi: Record, operation: str) -> tuple[str, ...]:
    match why:
        case Refusal.busy:
            task, other = next(iter(vdi["current_operations"].items()))
            return ("VDI", vdi.ref, other, task)
        case Refusal.no_attachment | Refusal.not_attached | Refusal.not_supported:
            return (vdi["SR"],)
        case Refusal.missing:
            return (vdi["SR"], vdi.ref)
        case Refusal.in_use:
            return (vdi.ref, operation)
        case Refusal.incompatible_type:
            return (vdi.ref, vdi["type"])
        case Refusal.reset_on_boot:
            return ()
    return (vdi.ref,)


VDI_OPERATIONS = VDIOperations()


def check_free(objects: Objects, image: str, vbd: Record, operation: str) -> None:
    """Raise VDI_IN_USE if an image is used, or about to be used, elsewhere so that it cannot be in a device as well."""
    vdi = objects.record(image, "VDI")
    if vdi["sharable"]:
        return
    for other in map(objects.record, vdi["VBDs"]):
        used = other["currently_attached"] or _starting(objects, other)
        if other.ref != vbd.ref and used and "RW" in (vbd["mode"], other["mode"]):
            raise XenApiError("VDI_IN_USE", vdi.ref, operation)


def _starting(objects: Objects, vbd: Record) -> bool:
    vm = objects.get(vbd["VM"])
    return vm is not None and vm["scheduled_to_be_resident_on"] != NULL
