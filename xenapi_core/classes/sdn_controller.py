"""A controller that tells the virtual switches of the pool what to do."""

from __future__ import annotations

from enum import StrEnum

from xenapi_core.datamodel import POOL_OPERATOR, RO, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import SDNControllerRef


class sdn_controller_protocol(StrEnum):
    """Who opens the connection between switch and controller."""

    ssl = "ssl"
    pssl = "pssl"


class SDN_controller(XenClass):
    """A controller that tells the virtual switches of the pool what to do."""

    uuid: str = field(RO, doc="unique identifier of the object")
    protocol: sdn_controller_protocol = field(
        STATIC, default=sdn_controller_protocol.ssl, doc="who opens the connection"
    )
    address: str = field(STATIC, default="", doc="the controller's IP address")
    port: int = field(STATIC, default=0, doc="the controller's TCP port; 0 for the usual one")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE",))
    def introduce(
        call: Call,
        protocol: sdn_controller_protocol = sdn_controller_protocol.ssl,
        address: str = "",
        port: int = 0,
    ) -> SDNControllerRef:
        """Tell of a controller."""
        if not 0 <= port < 1 << 16:
            raise XenApiError("INVALID_VALUE", "port", port)
        if (protocol is sdn_controller_protocol.ssl) != bool(address):
            raise XenApiError("INVALID_VALUE", "address", address)
        with call.store.write() as change:
            return change.create("SDN_controller", {"protocol": protocol, "address": address, "port": port})

    @message(role=POOL_OPERATOR, asynchronous=True)
    def forget(call: Call, self: SDNControllerRef) -> None:
        """Forget a controller."""
        with call.store.write() as change:
            change.destroy(self)
