"""Snapshots: of which virtual machine each is, how they follow each other, and memory that was saved (DSP1042)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from xen_providers.conversions import part_id, xen_id
from xen_providers.mapping.declaration import Mapped, MappedClass, association, key, string
from xen_providers.mapping.expressions import computed, constant
from xen_providers.storage import DISK_IMAGE
from xen_providers.virtual_systems import COMPUTER_SYSTEM, COMPUTER_SYSTEM_SNAPSHOT


def _of_image() -> dict[str, Mapped]:
    """Return what is said of the disk image that memory was saved in."""
    return {
        name: Mapped(each.property, each.expression.under(("suspend_VDI",)))
        for name, each in DISK_IMAGE.properties.items()
        if not each.property.key
    }


MEMORY_STATE = MappedClass(
    "Xen_MemoryState",
    "CIM_StorageExtent",
    source="VM",
    properties={
        "SystemCreationClassName": key(
            string(
                computed(
                    lambda is_snapshot: (COMPUTER_SYSTEM_SNAPSHOT if is_snapshot else COMPUTER_SYSTEM).name,
                    "is_a_snapshot",
                )
            )
        ),
        "SystemName": key(
            string(computed(lambda uuid, is_snapshot: xen_id(uuid) if is_snapshot else uuid, "uuid", "is_a_snapshot"))
        ),
        "CreationClassName": key(string(constant("Xen_MemoryState"))),
        "DeviceID": key(string(computed(part_id, "uuid", "suspend_VDI.uuid"))),
        **_of_image(),
        "Caption": string(constant("Memory of a Xen virtual machine")),
    },
)

COMPUTER_SYSTEM_MEMORY_STATE = association(
    "Xen_ComputerSystemMemoryState",
    "Xen_SystemDevice",
    source="VM",
    ends={"GroupComponent": (COMPUTER_SYSTEM, ""), "PartComponent": (MEMORY_STATE, "")},
)

SNAPSHOT_MEMORY_STATE = association(
    "Xen_SnapshotMemoryState",
    "CIM_Dependency",
    source="VM",
    ends={"Antecedent": (MEMORY_STATE, ""), "Dependent": (COMPUTER_SYSTEM_SNAPSHOT, "")},
)

SNAPSHOT_OF_VIRTUAL_SYSTEM = association(
    "Xen_SnapshotOfVirtualSystem",
    "CIM_SnapshotOfVirtualSystem",
    source="VM",
    ends={"Antecedent": (COMPUTER_SYSTEM, "snapshot_of"), "Dependent": (COMPUTER_SYSTEM_SNAPSHOT, "")},
)

SNAPSHOT_DEPENDENCY = association(
    "Xen_SnapshotDependency",
    "CIM_Dependency",
    source="VM",
    ends={"Antecedent": (COMPUTER_SYSTEM_SNAPSHOT, "parent"), "Dependent": (COMPUTER_SYSTEM_SNAPSHOT, "")},
)


def _is_own(uuid: str, of: str | None) -> bool:
    return uuid == of


MOST_CURRENT_SNAPSHOT_IN_BRANCH = association(
    "Xen_MostCurrentSnapshotInBranch",
    "CIM_MostCurrentSnapshotInBranch",
    source="VM",
    ends={"Antecedent": (COMPUTER_SYSTEM, ""), "Dependent": (COMPUTER_SYSTEM_SNAPSHOT, "parent")},
    where=computed(_is_own, "uuid", "parent.snapshot_of.uuid"),
)


def _was_applied(
    uuid: str,
    of: str | None,
    followed: Sequence[bool] | None,
    taken: datetime | None,
    all_taken: Sequence[datetime] | None,
) -> bool:
    """Say whether it is known that a machine was taken back to the snapshot that it goes on from.

    A machine goes on from the snapshot that was taken last, until it is taken back to another. So it was taken back if
    that is followed by a snapshot, or if there is a later one; whether it was to the last of all the Xen-API does not
    tell.
    """
    if not _is_own(uuid, of):
        return False
    return any(followed or ()) or (taken is not None and any(each > taken for each in all_taken or ()))


LAST_APPLIED_SNAPSHOT = association(
    "Xen_LastAppliedSnapshot",
    "CIM_LastAppliedSnapshot",
    source="VM",
    ends={"Antecedent": (COMPUTER_SYSTEM_SNAPSHOT, "parent"), "Dependent": (COMPUTER_SYSTEM, "")},
    where=computed(
        _was_applied,
        "uuid",
        "parent.snapshot_of.uuid",
        "parent.children.is_a_snapshot",
        "parent.snapshot_time",
        "snapshots.snapshot_time",
    ),
)

CLASSES = (
    MEMORY_STATE,
    COMPUTER_SYSTEM_MEMORY_STATE,
    SNAPSHOT_MEMORY_STATE,
    SNAPSHOT_OF_VIRTUAL_SYSTEM,
    SNAPSHOT_DEPENDENCY,
    MOST_CURRENT_SNAPSHOT_IN_BRANCH,
    LAST_APPLIED_SNAPSHOT,
)
