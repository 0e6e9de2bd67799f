"""Who watches what the server does, and where the traces go."""

from __future__ import annotations

from typing import Any

from xenapi_core.datamodel import POOL_ADMIN, RO, RW, STATIC, Call, XenClass, field, message
from xenapi_core.datamodel.refs import HostRef, ObserverRef


def _set(call: Call, ref: str, **values: Any) -> None:
    with call.store.write() as change:
        change.update(ref, **values)


class Observer(XenClass, role=POOL_ADMIN, creatable=True, destroyable=True):
    """Who watches what the server does, and where the traces go."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    hosts: list[HostRef] = field(STATIC, default=(), doc="the hosts that are watched; all, if none is named")
    attributes: dict[str, str] = field(STATIC, default={}, doc="what traces are marked with")
    endpoints: list[str] = field(STATIC, default=(), doc="where traces go")
    components: list[str] = field(STATIC, default=(), doc="the parts that are watched; all, if none is named")
    enabled: bool = field(STATIC, default=False, doc="whether it watches")

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_hosts(call: Call, self: ObserverRef, value: list[HostRef]) -> None:
        """Set the hosts that are watched."""
        _set(call, self, hosts=value)

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_attributes(call: Call, self: ObserverRef, value: dict[str, str]) -> None:
        """Set what traces are marked with."""
        _set(call, self, attributes=value)

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_endpoints(call: Call, self: ObserverRef, value: list[str]) -> None:
        """Set where traces go."""
        _set(call, self, endpoints=value)

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_components(call: Call, self: ObserverRef, value: list[str]) -> None:
        """Set the parts that are watched."""
        _set(call, self, components=value)

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_enabled(call: Call, self: ObserverRef, value: bool) -> None:
        """Begin or cease to watch."""
        _set(call, self, enabled=value)
