"""A recovery from disaster under way: the repositories that it made known."""

from __future__ import annotations

from xenapi_core.datamodel import RO, XenClass, field, reverse
from xenapi_core.datamodel.refs import SRRef


class DR_task(XenClass):
    """A recovery from disaster under way: the repositories that it made known."""

    uuid: str = field(RO, doc="unique identifier of the object")
    introduced_SRs: list[SRRef] = reverse("SR", "introduced_by", doc="the repositories that it made known")
