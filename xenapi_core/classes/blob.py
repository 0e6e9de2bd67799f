"""Binary data that is kept with an object."""

from __future__ import annotations

from datetime import UTC, datetime

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, Call, Change, XenClass, field, message
from xenapi_core.datamodel.refs import BlobRef

DEFAULT_TYPE = "application/octet-stream"

WITH_BLOBS = ("VM", "SR", "network", "host", "pool")
"""Classes whose objects have a field ``blobs``."""


class blob(XenClass, role=POOL_OPERATOR):
    """Binary data that is kept with an object; made empty."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    size: int = field(RO, doc="size of the data (bytes)")
    public: bool = field(RW, default=False, doc="whether everybody may read it without a session")
    last_updated: datetime = field(STATIC, doc="when the data was last written")
    mime_type: str = field(STATIC, doc="kind of the data, such as image/png")

    @message(role=POOL_OPERATOR)
    def create(call: Call, mime_type: str, public: bool = False) -> BlobRef:
        """Make an empty blob and return its reference."""
        with call.store.write() as change:
            return make(change, "", mime_type, public=public)

    @message(role=POOL_OPERATOR, errors=("HANDLE_INVALID",))
    def destroy(call: Call, self: BlobRef) -> None:
        """Destroy a blob."""
        with call.store.write() as change:
            change.record(self, "blob")
            for cls in WITH_BLOBS:
                for owner in list(change.records(cls)):
                    if self in owner["blobs"].values():
                        left = {name: ref for name, ref in owner["blobs"].items() if ref != self}
                        change.update(owner.ref, blobs=left)
            change.destroy(self)


def make(change: Change, name: str, mime_type: str, *, public: bool) -> str:
    """Make an empty blob and return its reference."""
    values = {
        "name_label": name,
        "public": public,
        "last_updated": datetime.now(UTC),
        "mime_type": mime_type or DEFAULT_TYPE,
    }
    return change.create("blob", values)


def attach(change: Change, owner: str, name: str, mime_type: str, *, public: bool) -> str:
    """Make an empty blob that is kept with an object under a name, instead of an earlier one; return its reference."""
    made = make(change, name, mime_type, public=public)
    blobs = change.record(owner)["blobs"]
    change.update(owner, blobs={**blobs, name: made})
    if blobs.get(name) and change.get(blobs[name]) is not None:
        change.destroy(blobs[name])
    return made
