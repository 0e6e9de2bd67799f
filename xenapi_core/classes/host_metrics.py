"""What is measured on a host: its memory, and whether it answers."""

from __future__ import annotations

from datetime import datetime

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, XenClass, field


class host_metrics(XenClass, role=POOL_OPERATOR):
    """What is measured on a host: its memory, and whether it answers."""

    uuid: str = field(RO, doc="unique identifier of the object")
    memory_total: int = field(RO, doc="memory of the host (bytes)")
    memory_free: int = field(RO, doc="memory that no domain holds and no starting VM has claimed (bytes)")
    live: bool = field(RO, doc="whether the pool master hears from the host")
    last_updated: datetime = field(RO, sampled=True, doc="when these figures were last brought up to date")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")
