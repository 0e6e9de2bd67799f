"""A protection policy of old: VMSS has taken its place, so none can be made."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from xenapi_core.datamodel import EPOCH, POOL_OPERATOR, RO, RW, STATIC, XenClass, field, reverse
from xenapi_core.datamodel.refs import VMRef


class vmpp_backup_type(StrEnum):
    """What a backup was."""

    snapshot = "snapshot"
    checkpoint = "checkpoint"


class vmpp_backup_frequency(StrEnum):
    """How often backups were made."""

    hourly = "hourly"
    daily = "daily"
    weekly = "weekly"


class vmpp_archive_frequency(StrEnum):
    """How often backups were archived."""

    never = "never"
    always_after_backup = "always_after_backup"
    daily = "daily"
    weekly = "weekly"


class vmpp_archive_target_type(StrEnum):
    """Where backups were archived."""

    none = "none"
    cifs = "cifs"
    nfs = "nfs"


REMOVED = (
    *("create", "destroy", "get_all", "get_all_records", "get_alerts", "protect_now", "archive_now"),
    *("set_backup_type", "set_backup_retention_value", "set_backup_frequency", "set_backup_last_run_time"),
    *("set_backup_schedule", "add_to_backup_schedule", "remove_from_backup_schedule", "set_is_policy_enabled"),
    *("set_archive_target_type", "set_archive_frequency", "set_archive_last_run_time", "set_is_alarm_enabled"),
    *("set_archive_schedule", "add_to_archive_schedule", "remove_from_archive_schedule"),
    *("set_archive_target_config", "add_to_archive_target_config", "remove_from_archive_target_config"),
    *("set_alarm_config", "add_to_alarm_config", "remove_from_alarm_config"),
)
"""Messages that existed while there were protection policies."""


class VMPP(XenClass, role=POOL_OPERATOR, removed=REMOVED):
    """A protection policy of old: VMSS has taken its place, so there are none."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    is_policy_enabled: bool = field(RW, default=True, doc="whether it was in force")
    VMs: list[VMRef] = reverse("VM", "protection_policy", doc="the VMs that it protected")

    # Backups
    backup_type: vmpp_backup_type = field(RW, default=vmpp_backup_type.snapshot, doc="what was made")
    backup_retention_value: int = field(STATIC, default=7, doc="how many were kept")
    backup_frequency: vmpp_backup_frequency = field(
        STATIC, default=vmpp_backup_frequency.daily, doc="how often they were made"
    )
    backup_schedule: dict[str, str] = field(STATIC, default={}, doc="when they were made")
    is_backup_running: bool = field(RO, doc="whether one was being made")
    backup_last_run_time: datetime = field(RO, default=EPOCH, doc="when one was made last")

    # Archives
    archive_target_type: vmpp_archive_target_type = field(
        STATIC, default=vmpp_archive_target_type.none, doc="where they were archived"
    )
    archive_target_config: dict[str, str] = field(STATIC, default={}, doc="how to reach that")
    archive_frequency: vmpp_archive_frequency = field(
        STATIC, default=vmpp_archive_frequency.never, doc="how often they were archived"
    )
    archive_schedule: dict[str, str] = field(STATIC, default={}, doc="when they were archived")
    is_archive_running: bool = field(RO, doc="whether one was being archived")
    archive_last_run_time: datetime = field(RO, default=EPOCH, doc="when one was archived last")

    # Alarms
    is_alarm_enabled: bool = field(STATIC, default=False, doc="whether failures were told by e-mail")
    alarm_config: dict[str, str] = field(STATIC, default={}, doc="to whom")
    recent_alerts: list[str] = field(RO, doc="failures")
