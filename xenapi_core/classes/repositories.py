"""The states of a storage repository: one table of operations and when each may begin.

From it follow the checks before an operation, in their order, and ``SR.allowed_operations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from xenapi_core.classes import drivers
from xenapi_core.classes.images import Reach, reach
from xenapi_core.datamodel import Objects, Operations, Record, XenApiError


class storage_operations(StrEnum):
    """What may be done with a storage repository."""

    scan = "scan"
    destroy = "destroy"
    forget = "forget"
    plug = "plug"
    unplug = "unplug"
    update = "update"
    vdi_create = "vdi_create"
    vdi_introduce = "vdi_introduce"
    vdi_destroy = "vdi_destroy"
    vdi_resize = "vdi_resize"
    vdi_clone = "vdi_clone"
    vdi_snapshot = "vdi_snapshot"
    vdi_mirror = "vdi_mirror"
    vdi_enable_cbt = "vdi_enable_cbt"
    vdi_disable_cbt = "vdi_disable_cbt"
    vdi_data_destroy = "vdi_data_destroy"
    vdi_list_changed_blocks = "vdi_list_changed_blocks"
    vdi_set_on_boot = "vdi_set_on_boot"
    pbd_create = "pbd_create"
    pbd_destroy = "pbd_destroy"


Op: TypeAlias = storage_operations

ATTACHED = frozenset({Reach.attached})
KNOWN = frozenset({Reach.attached, Reach.detached})
ANY = frozenset(Reach)


class Rule(NamedTuple):
    """When an operation may begin."""

    feature: str = ""
    """What the storage must be able to do; empty: nothing special."""
    reach: frozenset[Reach] = ATTACHED


TABLE: dict[storage_operations, Rule] = {
    Op.scan: Rule(),
    Op.destroy: Rule(reach=frozenset({Reach.detached})),
    Op.forget: Rule(reach=frozenset({Reach.detached, Reach.unknown})),
    Op.plug: Rule(reach=KNOWN),
    Op.unplug: Rule(reach=KNOWN),
    Op.update: Rule("SR_UPDATE"),
    Op.vdi_create: Rule("VDI_CREATE"),
    Op.vdi_introduce: Rule("VDI_INTRODUCE"),
    Op.vdi_destroy: Rule("VDI_DELETE"),
    Op.vdi_resize: Rule("VDI_RESIZE"),
    Op.vdi_clone: Rule("VDI_CLONE"),
    Op.vdi_snapshot: Rule("VDI_SNAPSHOT"),
    Op.vdi_mirror: Rule("VDI_MIRROR"),
    Op.vdi_enable_cbt: Rule("VDI_CONFIG_CBT"),
    Op.vdi_disable_cbt: Rule("VDI_CONFIG_CBT"),
    Op.vdi_data_destroy: Rule("VDI_CONFIG_CBT"),
    Op.vdi_list_changed_blocks: Rule("VDI_CONFIG_CBT"),
    Op.vdi_set_on_boot: Rule("VDI_RESET_ON_BOOT"),
    Op.pbd_create: Rule(reach=ANY),
    Op.pbd_destroy: Rule(reach=ANY),
}
"""The operations, in the order of ``allowed_operations``."""

TOGETHER = frozenset({Op.plug, *(operation for operation in Op if operation.startswith("vdi_"))})
"""Operations that may run at the same time."""


class Standing(NamedTuple):
    """All that decides which operations a repository allows."""

    kind: str
    reach: Reach
    empty: bool
    current: tuple[storage_operations, ...]


class Refusal(StrEnum):
    """Why an operation cannot begin: the code of the error."""

    busy = "OTHER_OPERATION_IN_PROGRESS"
    not_supported = "SR_OPERATION_NOT_SUPPORTED"
    attached = "SR_HAS_PBD"
    no_attachment = "SR_HAS_NO_PBDS"
    not_attached = "SR_NOT_ATTACHED"
    not_empty = "SR_NOT_EMPTY"


_OUT_OF_REACH = {
    Reach.attached: Refusal.attached,
    Reach.detached: Refusal.not_attached,
    Reach.unknown: Refusal.no_attachment,
}


def _refusals(sr: Standing, operation: storage_operations) -> Iterator[Refusal]:
    rule = TABLE[operation]
    if any(not {operation, current} <= TOGETHER for current in sr.current):
        yield Refusal.busy
    if rule.feature and not drivers.supports(sr.kind, rule.feature):
        yield Refusal.not_supported
    if sr.reach not in rule.reach:
        yield _OUT_OF_REACH[sr.reach]
    if operation is Op.destroy and not sr.empty:
        yield Refusal.not_empty


def refusal(sr: Standing, operation: storage_operations) -> Refusal | None:
    """Return why an operation cannot begin, None if it can."""
    return next(_refusals(sr, operation), None)


@lru_cache(maxsize=256)
def allowed_operations(sr: Standing) -> tuple[storage_operations, ...]:
    """Return the operations that can begin."""
    return tuple(operation for operation in TABLE if refusal(sr, operation) is None)


class SROperations(Operations):
    """The table as the store and the calls use it."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        """Raise the XenApiError that tells why an operation cannot begin now, if it cannot."""
        why = refusal(_standing(objects, record), storage_operations(operation))
        if why is Refusal.busy:
            task, other = next(iter(record["current_operations"].items()))
            raise XenApiError(why.value, "SR", record.ref, other, task)
        if why is not None:
            raise XenApiError(why.value, *(() if why is Refusal.not_empty else (record.ref,)))

    def allowed(self, objects: Objects, record: Record) -> Sequence[str]:
        """Return the operations that can begin now."""
        return allowed_operations(_standing(objects, record))


def _standing(objects: Objects, sr: Record) -> Standing:
    empty = not any(objects.record(vdi)["managed"] for vdi in sr["VDIs"])
    return Standing(sr["type"], reach(objects, sr), empty, tuple(sr["current_operations"].values()))


SR_OPERATIONS = SROperations()
