"""How hosts are reached and set up."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from xenapi_core.classes import blob
from xenapi_core.classes.pif import announce, check_serving
from xenapi_core.datamodel import (
    NULL,
    POOL_ADMIN,
    POOL_OPERATOR,
    READ_ONLY,
    Call,
    Change,
    Objects,
    XenApiError,
    message,
)
from xenapi_core.datamodel.refs import BlobRef, HostRef, PIFRef, SRRef


class host_sched_gran(StrEnum):
    """What the scheduler keeps together."""

    core = "core"
    cpu = "cpu"
    socket = "socket"


SchedGran: TypeAlias = host_sched_gran

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_IQN = re.compile(r"iqn\.\d{4}-\d\d\.[a-z0-9.-]+(:.+)?")

UNREACHABLE = (
    "CANNOT_PLUG_BOND_SLAVE",
    "PIF_HAS_NO_NETWORK_CONFIGURATION",
    "PIF_HAS_NO_V6_NETWORK_CONFIGURATION",
    "INTERFACE_HAS_NO_IP",
)
"""What managing a host over a NIC may be refused with."""


class HostManagement:
    """The messages of host that say how it is reached and set up."""

    # Network

    @message(role=POOL_OPERATOR, asynchronous=True)
    def get_management_interface(call: Call, host: HostRef) -> PIFRef:
        """Return the NIC over which a host is managed."""
        pifs = call.record(host, "host")["PIFs"]
        return next((pif for pif in pifs if call.record(pif)["management"]), NULL)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=UNREACHABLE)
    def management_reconfigure(call: Call, pif: PIFRef) -> None:
        """Manage the host of a NIC, which has to have an address, over that NIC from now on."""
        with call.store.write() as change:
            manage_over(change, pif)

    @message(role=POOL_OPERATOR, errors=("HOST_NAME_INVALID",))
    def set_hostname_live(call: Call, host: HostRef, hostname: str) -> None:
        """Set the name of a host on the network, at once."""
        if not hostname:
            raise XenApiError("HOST_NAME_INVALID", "the name is empty")
        if len(hostname) > 253 or not all(map(_LABEL.fullmatch, hostname.split("."))):
            raise XenApiError("HOST_NAME_INVALID", "it has to be labels of letters, digits and hyphens, with dots")
        with call.store.write() as change:
            change.update(host, hostname=hostname)

    # Logs

    @message(role=READ_ONLY, asynchronous=True)
    def get_log(call: Call, host: HostRef) -> str:
        """Return the log of a host: what its hypervisor tells."""
        call.record(host, "host")
        return str(call.hypervisor(host).log())

    @message(role=POOL_ADMIN, asynchronous=True)
    def send_debug_keys(call: Call, host: HostRef, keys: str) -> None:
        """Press keys on the console of a host's hypervisor, whose answer is found by ``dmesg``."""
        call.hypervisor(host).debug_keys(keys)

    @message(role=POOL_OPERATOR)
    async def restart_agent(call: Call, host: HostRef) -> None:
        """Start the agent of a host anew; its VMs go on."""
        with call.store.write() as change:
            started = f"{datetime.now(UTC).timestamp():.0f}."
            change.update(host, other_config={**change.record(host)["other_config"], "agent_start_time": started})

    @message(role=POOL_ADMIN)
    async def sync_data(call: Call, host: HostRef) -> None:
        """Wait until all that is known of a host is safe."""
        call.record(host, "host")
        await call.store.flush()

    # Storage

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_multipathing(call: Call, host: HostRef, value: bool) -> None:
        """Set whether a host reaches storage over several paths."""
        with call.store.write() as change:
            change.update(host, multipathing=value)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_VALUE",))
    def set_iscsi_iqn(call: Call, host: HostRef, value: str) -> None:
        """Set a host's name as an iSCSI initiator."""
        if not _IQN.fullmatch(value):
            raise XenApiError("INVALID_VALUE", "iscsi_iqn", value)
        with call.store.write() as change:
            change.update(host, iscsi_iqn=value)

    @message(role=POOL_OPERATOR, errors=("HOST_NOT_DISABLED", "INVALID_VALUE"))
    def enable_local_storage_caching(call: Call, host: HostRef, sr: SRRef) -> None:
        """Cache shared images on a repository of a disabled host."""
        with call.store.write() as change:
            _check_disabled(change, host)
            pbds = change.record(sr, "SR")["PBDs"]
            if change.record(sr)["shared"] or all(change.record(pbd)["host"] != host for pbd in pbds):
                raise XenApiError("INVALID_VALUE", "sr", sr)
            change.update(host, local_cache_sr=sr)

    @message(role=POOL_OPERATOR, errors=("HOST_NOT_DISABLED",))
    def disable_local_storage_caching(call: Call, host: HostRef) -> None:
        """Cache no images on a disabled host."""
        with call.store.write() as change:
            _check_disabled(change, host)
            change.update(host, local_cache_sr=NULL)

    # Settings

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_power_on_mode(call: Call, self: HostRef, power_on_mode: str, power_on_config: dict[str, str]) -> None:
        """Set how a host can be switched on from afar; empty: not at all."""
        with call.store.write() as change:
            change.update(self, power_on_mode=power_on_mode, power_on_config=power_on_config)

    @message(role=POOL_ADMIN, asynchronous=True)
    def get_sched_gran(call: Call, self: HostRef) -> SchedGran:
        """Return what the scheduler of a host keeps together."""
        return host_sched_gran(call.record(self, "host")["sched_gran"] or host_sched_gran.cpu)

    @message(role=POOL_ADMIN, asynchronous=True)
    def set_sched_gran(call: Call, self: HostRef, value: SchedGran) -> None:
        """Set what the scheduler of a host keeps together."""
        with call.store.write() as change:
            change.update(self, sched_gran=value)

    @message(role=POOL_OPERATOR)
    def set_ssl_legacy(call: Call, self: HostRef, value: bool) -> None:
        """Refuse outdated TLS, which is the only choice."""
        if value:
            raise XenApiError("VALUE_NOT_SUPPORTED", "ssl_legacy", "true", "outdated TLS is not spoken")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_EDITION",))
    def apply_edition(call: Call, host: HostRef, edition: str, force: bool = False) -> None:
        """Change the edition of the product on a host, to one of ``editions``."""
        with call.store.write() as change:
            if edition not in change.record(host, "host")["editions"]:
                raise XenApiError("INVALID_EDITION", edition)
            change.update(host, edition=edition)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def create_new_blob(call: Call, host: HostRef, name: str, mime_type: str, public: bool = False) -> BlobRef:
        """Keep a new, empty blob with a host under a name, and return its reference."""
        with call.store.write() as change:
            change.record(host, "host")
            return blob.attach(change, host, name, mime_type, public=public)


def manage_over(change: Change, ref: str) -> None:
    """Manage the host of a NIC over that NIC from now on."""
    pif = change.record(ref, "PIF")
    if pif["bond_slave_of"] != NULL:
        raise XenApiError("CANNOT_PLUG_BOND_SLAVE", ref)
    check_serving(pif, pif["primary_address_type"])
    if not pif["IP"] and not pif["IPv6"]:
        raise XenApiError("INTERFACE_HAS_NO_IP", pif["device"])
    for other in change.record(pif["host"])["PIFs"]:
        if change.record(other)["management"]:
            change.update(other, management=False)
    change.update(ref, management=True, currently_attached=True)
    announce(change, ref)


def _check_disabled(objects: Objects, host: str) -> None:
    if objects.record(host, "host")["enabled"]:
        raise XenApiError("HOST_NOT_DISABLED")
