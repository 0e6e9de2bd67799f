"""A dump that a host wrote when it crashed itself."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from xenapi_core.classes.cloning import master
from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import HostCrashdumpRef, HostRef


class host_crashdump(XenClass, role=POOL_OPERATOR):
    """A dump that a host wrote when it crashed itself."""

    uuid: str = field(RO, doc="unique identifier of the object")
    host: HostRef = field(STATIC, doc="the host that crashed")
    timestamp: datetime = field(RO, doc="when it crashed")
    size: int = field(RO, doc="size of the dump (bytes)")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HANDLE_INVALID",))
    def destroy(call: Call, self: HostCrashdumpRef) -> None:
        """Destroy a dump."""
        with call.store.write() as change:
            change.record(self, "host_crashdump")
            change.destroy(self)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE",))
    async def upload(call: Call, self: HostCrashdumpRef, url: str, options: dict[str, str]) -> None:
        """Send a dump to a server, whose address is an ftp or http URL.

        The dumps of simulated hosts hold nothing: the time of sending passes, and nothing leaves the machine.
        """
        size = call.record(self, "host_crashdump")["size"]
        target = urlsplit(url)
        if target.scheme not in ("ftp", "http", "https") or not target.hostname:
            raise XenApiError("INVALID_VALUE", "url", url)
        await call.hypervisor(master(call.store)).copy_image("", "", size, call.task.progress)
