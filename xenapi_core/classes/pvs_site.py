"""A place where disks are streamed from: the machines that serve them, and what caches them."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, Call, XenApiError, XenClass, field, message, reverse
from xenapi_core.datamodel.refs import PVSCacheStorageRef, PVSProxyRef, PVSServerRef, PVSSiteRef


class PVS_site(XenClass):
    """A place where disks are streamed from: the machines that serve them, and what caches them."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    PVS_uuid: str = field(STATIC, default="", doc="the site's own identifier")
    cache_storage: list[PVSCacheStorageRef] = reverse("PVS_cache_storage", "site", doc="where hosts cache its disks")
    servers: list[PVSServerRef] = reverse("PVS_server", "site", doc="the machines that serve its disks")
    proxies: list[PVSProxyRef] = reverse("PVS_proxy", "site", doc="the NICs of VMs whose disks come from it")

    @message(role=POOL_OPERATOR, asynchronous=True)
    def introduce(call: Call, name_label: str, name_description: str, PVS_uuid: str) -> PVSSiteRef:
        """Tell of a site."""
        with call.store.write() as change:
            values = {"name_label": name_label, "name_description": name_description, "PVS_uuid": PVS_uuid}
            return change.create("PVS_site", values)

    @message(
        role=POOL_OPERATOR,
        asynchronous=True,
        errors=("PVS_SITE_CONTAINS_RUNNING_PROXIES", "PVS_SITE_CONTAINS_SERVERS"),
    )
    def forget(call: Call, self: PVSSiteRef) -> None:
        """Forget a site that has no servers, and no proxies at work."""
        with call.store.write() as change:
            site = change.record(self, "PVS_site")
            running = [proxy for proxy in site["proxies"] if change.record(proxy)["currently_attached"]]
            if running:
                raise XenApiError("PVS_SITE_CONTAINS_RUNNING_PROXIES", ", ".join(running))
            if site["servers"]:
                raise XenApiError("PVS_SITE_CONTAINS_SERVERS", ", ".join(site["servers"]))
            for part in (*site["proxies"], *site["cache_storage"]):
                change.destroy(part)
            change.destroy(self)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_PVS_uuid(call: Call, self: PVSSiteRef, value: str) -> None:
        """Set the site's own identifier."""
        with call.store.write() as change:
            change.update(self, PVS_uuid=value)
