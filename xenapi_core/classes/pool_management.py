"""What is done with all hosts of the pool at once."""

from __future__ import annotations

from xenapi_core.classes import blob
from xenapi_core.classes.host_management import UNREACHABLE, manage_over
from xenapi_core.classes.host_power import check_leaving, forget
from xenapi_core.classes.hosting import BUSY
from xenapi_core.classes.pif import named, pif_igmp_status
from xenapi_core.classes.vlan import REFUSED, make_vlan
from xenapi_core.datamodel import POOL_ADMIN, POOL_OPERATOR, READ_ONLY, Call, Change, XenApiError, message
from xenapi_core.datamodel.refs import BlobRef, HostRef, NetworkRef, PIFRef, PoolRef


class PoolManagement:
    """The messages of pool that concern all its hosts."""

    # Network

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*REFUSED, "PIF_DEVICE_NOT_FOUND"))
    def create_VLAN(call: Call, device: str, network: NetworkRef, VLAN: int) -> list[PIFRef]:
        """Make a VLAN on the NIC with a name of every host; return the NICs that stand for it."""
        with call.store.write() as change:
            return _vlans(change, device, network, VLAN)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=(*REFUSED, "PIF_DEVICE_NOT_FOUND"))
    def create_VLAN_from_PIF(call: Call, pif: PIFRef, network: NetworkRef, VLAN: int) -> list[PIFRef]:
        """Make a VLAN on the NIC of every host that is called like one; return the NICs that stand for it."""
        with call.store.write() as change:
            return _vlans(change, change.record(pif, "PIF")["device"], network, VLAN)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("PIF_NOT_PRESENT", *UNREACHABLE))
    def management_reconfigure(call: Call, network: NetworkRef) -> None:
        """Manage every host over its NIC on a network from now on."""
        with call.store.write() as change:
            joined = {change.record(pif)["host"]: pif for pif in change.record(network, "network")["PIFs"]}
            for host in change.records("host"):
                if host.ref not in joined:
                    raise XenApiError("PIF_NOT_PRESENT", host.ref, network)
            for pif in joined.values():
                manage_over(change, pif)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_igmp_snooping_enabled(call: Call, self: PoolRef, value: bool) -> None:
        """Set whether the bridges of all hosts snoop on IGMP."""
        status = pif_igmp_status.enabled if value else pif_igmp_status.disabled
        with call.store.write() as change:
            change.update(self, igmp_snooping_enabled=value)
            for pif in list(change.records("PIF")):
                change.update(pif.ref, igmp_snooping_status=status)

    # Hosts

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HOST_NOT_LIVE", "HOST_DISABLED"))
    def designate_new_master(call: Call, host: HostRef) -> None:
        """Let another host answer for the pool."""
        with call.store.write() as change:
            record = change.record(host, "host")
            if not change.record(record["metrics"])["live"]:
                raise XenApiError("HOST_NOT_LIVE")
            if not record["enabled"]:
                raise XenApiError("HOST_DISABLED", host)
            change.update(next(iter(change.records("pool"))).ref, master=host)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("HOST_CANNOT_DESTROY_SELF", "HOST_HAS_RESIDENT_VMS", *BUSY))
    async def eject(call: Call, host: HostRef) -> None:
        """Let a host, on which no VM runs, leave the pool; it goes down and is forgotten here."""
        with call.store.write() as change:
            change.record(host, "host")
            check_leaving(change, host)
            change.update(host, enabled=False)
        async with call.operation(host, "shutdown"):
            await call.hypervisor(host).power_off()
            with call.store.write() as change:
                check_leaving(change, host)
                forget(change, host)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS",))
    def join(call: Call, master_address: str, master_username: str, master_password: str) -> None:
        """Refuse to join another pool: a simulated pool is one whole."""
        raise XenApiError("JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS")

    # Its database and licence

    @message(role=POOL_OPERATOR, asynchronous=True)
    async def sync_database(call: Call) -> None:
        """Wait until all that is known of the pool is safe."""
        await call.store.flush()

    @message(role=READ_ONLY, asynchronous=True)
    def get_license_state(call: Call, self: PoolRef) -> dict[str, str]:
        """Return the edition that all hosts have, and when its licence ends: never."""
        call.record(self, "pool")
        editions = sorted({host["edition"] for host in call.records("host")})
        return {"edition": editions[0] if editions else "", "expiry": "never"}

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_EDITION",))
    def apply_edition(call: Call, self: PoolRef, edition: str) -> None:
        """Change the edition of the product on all hosts, to one of ``host.editions``."""
        with call.store.write() as change:
            change.record(self, "pool")
            for host in list(change.records("host")):
                if edition not in host["editions"]:
                    raise XenApiError("INVALID_EDITION", edition)
                change.update(host.ref, edition=edition)

    # For people and clients

    @message(role=POOL_ADMIN, asynchronous=True, errors=("MAP_DUPLICATE_KEY",))
    def add_to_guest_agent_config(call: Call, self: PoolRef, key: str, value: str) -> None:
        """Add a setting for the agents in guests."""
        with call.store.write() as change:
            present = change.record(self, "pool")["guest_agent_config"]
            if key in present:
                raise XenApiError("MAP_DUPLICATE_KEY", "pool", "guest_agent_config", self, key)
            change.update(self, guest_agent_config={**present, key: value})

    @message(role=POOL_ADMIN, asynchronous=True)
    def remove_from_guest_agent_config(call: Call, self: PoolRef, key: str) -> None:
        """Remove a setting for the agents in guests, if it is there."""
        with call.store.write() as change:
            present = change.record(self, "pool")["guest_agent_config"]
            change.update(self, guest_agent_config={name: value for name, value in present.items() if name != key})

    @message(role=POOL_OPERATOR, asynchronous=True)
    def create_new_blob(call: Call, pool: PoolRef, name: str, mime_type: str, public: bool = False) -> BlobRef:
        """Keep a new, empty blob with the pool under a name, and return its reference."""
        with call.store.write() as change:
            change.record(pool, "pool")
            return blob.attach(change, pool, name, mime_type, public=public)


def _vlans(change: Change, device: str, network: str, tag: int) -> list[str]:
    hosts = [host.ref for host in change.records("host")]
    vlans = [make_vlan(change, named(change, host, device), tag, network) for host in hosts]
    return [change.record(vlan)["untagged_PIF"] for vlan in vlans]
