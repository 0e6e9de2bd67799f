"""A cache between a virtual NIC and the machines that stream its VM's disk."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import PVSProxyRef, PVSSiteRef, VIFRef


class pvs_proxy_status(StrEnum):
    """What a proxy does."""

    stopped = "stopped"
    initialised = "initialised"
    caching = "caching"
    incompatible_write_cache_mode = "incompatible_write_cache_mode"
    incompatible_protocol_version = "incompatible_protocol_version"


class PVS_proxy(XenClass):
    """A cache between a virtual NIC and the machines that stream its VM's disk."""

    uuid: str = field(RO, doc="unique identifier of the object")
    site: PVSSiteRef = field(STATIC, default=NULL, doc="the site that the disk comes from")
    VIF: VIFRef = field(STATIC, default=NULL, doc="the virtual NIC")
    currently_attached: bool = field(RO, default=False, doc="whether it is at work")
    status: pvs_proxy_status = field(RO, default=pvs_proxy_status.stopped, doc="what it does")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("PVS_PROXY_ALREADY_PRESENT",))
    def create(call: Call, site: PVSSiteRef, VIF: VIFRef) -> PVSProxyRef:
        """Have a virtual NIC served by a site from its VM's next start on."""
        with call.store.write() as change:
            for proxy in change.records("PVS_proxy"):
                if proxy["VIF"] == VIF:
                    raise XenApiError("PVS_PROXY_ALREADY_PRESENT", proxy.ref)
            return change.create("PVS_proxy", {"site": site, "VIF": VIF})

    @message(role=POOL_OPERATOR, asynchronous=True)
    def destroy(call: Call, self: PVSProxyRef) -> None:
        """Serve the virtual NIC no longer."""
        with call.store.write() as change:
            change.destroy(self)
