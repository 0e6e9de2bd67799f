"""A datamodel of a few lines, for tests of the store."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from xenapi_core.datamodel import (
    NULL,
    RO,
    RW,
    STATIC,
    Datamodel,
    Objects,
    Operations,
    Record,
    Ref,
    XenApiError,
    XenClass,
)
from xenapi_core.datamodel.fields import field, reverse
from xenapi_core.store import Store

BoxRef = Annotated[str, Ref("Box")]


class Mood(StrEnum):
    """A word."""

    calm = "calm"
    wild = "wild"


class BoxOperations(Operations):
    """An open box can be closed."""

    def check(self, objects: Objects, record: Record, operation: str) -> None:
        if operation not in self.allowed(objects, record):
            raise XenApiError("OPERATION_NOT_ALLOWED", operation)

    def allowed(self, objects: Objects, record: Record) -> list[str]:
        return ["close"] if record["name_label"] == "open" else []


class Box(XenClass, operations=BoxOperations()):
    """Holds things."""

    uuid: str = field(RO)
    name_label: str = field(RW, default="")
    allowed_operations: list[str] = field(RO, default=[])
    mood: Mood = field(RO, default=Mood.calm)
    since: datetime = field(RO)
    labels: dict[int, list[str]] = field(RW, default={})
    things: list[Annotated[str, Ref("Thing")]] = reverse("Thing", "box")
    weight: float = field(RO, sampled=True)


class Thing(XenClass):
    """Is in a box."""

    uuid: str = field(RO)
    box: BoxRef = field(STATIC, default=NULL)


class Passing(XenClass, persistent=False):
    """Does not outlive the process."""

    uuid: str = field(RO)


MODEL = Datamodel([Box, Thing, Passing])


def snapshot(store: Store) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """Return everything durable, in order."""
    return {cls: [(each.ref, dict(each.items())) for each in store.durable.records(cls)] for cls in MODEL.classes}
