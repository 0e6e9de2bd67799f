"""A machine that streams disks to VMs."""

from __future__ import annotations

from xenapi_core.datamodel import NULL, POOL_OPERATOR, RO, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import PVSServerRef, PVSSiteRef


class PVS_server(XenClass):
    """A machine that streams disks to VMs."""

    uuid: str = field(RO, doc="unique identifier of the object")
    addresses: list[str] = field(STATIC, default=(), doc="its IPv4 addresses")
    first_port: int = field(STATIC, default=0, doc="the first UDP port that it serves on")
    last_port: int = field(STATIC, default=0, doc="the last")
    site: PVSSiteRef = field(STATIC, default=NULL, doc="the site that it belongs to")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE", "PVS_SERVER_ADDRESS_IN_USE"))
    def introduce(call: Call, addresses: list[str], first_port: int, last_port: int, site: PVSSiteRef) -> PVSServerRef:
        """Tell of a server of a site."""
        if not 0 < first_port <= last_port < 1 << 16:
            raise XenApiError("INVALID_VALUE", "last_port", last_port)
        with call.store.write() as change:
            taken = {address for server in change.records("PVS_server") for address in server["addresses"]}
            for address in addresses:
                if address in taken:
                    raise XenApiError("PVS_SERVER_ADDRESS_IN_USE", address)
            ports = {"first_port": first_port, "last_port": last_port}
            return change.create("PVS_server", {"addresses": addresses, **ports, "site": site})

    @message(role=POOL_OPERATOR, asynchronous=True)
    def forget(call: Call, self: PVSServerRef) -> None:
        """Forget a server."""
        with call.store.write() as change:
            change.destroy(self)
