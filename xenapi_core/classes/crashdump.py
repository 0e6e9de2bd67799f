"""A dump of the memory of a VM whose guest has crashed."""

from __future__ import annotations

from xenapi_core.classes.vdi import discard
from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, RW, STATIC, Call, XenClass, field, message
from xenapi_core.datamodel.refs import CrashdumpRef, VDIRef, VMRef


class crashdump(XenClass, role=POOL_OPERATOR):
    """A dump of the memory of a VM whose guest has crashed."""

    uuid: str = field(RO, doc="unique identifier of the object")
    VM: VMRef = field(STATIC, doc="the VM that crashed")
    VDI: VDIRef = field(STATIC, doc="the image that holds the dump")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HANDLE_INVALID",))
    def destroy(call: Call, self: CrashdumpRef) -> None:
        """Destroy a crash dump and the image that holds it."""
        with call.store.write() as change:
            image = change.record(self, "crashdump")["VDI"]
            change.destroy(self)
            if image != NULL:
                discard(change, image)
