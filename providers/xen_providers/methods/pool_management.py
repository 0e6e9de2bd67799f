"""Methods of Xen_HostPool: its name, its members, its default storage, high availability."""

from __future__ import annotations

from collections.abc import Mapping

from cim_provider import MethodResult, Parameter
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.inputs import Inputs, needed
from xen_providers.methods.outcomes import COMPLETED, MANAGEMENT
from xen_providers.methods.parameters import SYSTEM, method, reference
from xen_providers.methods.storage_management import find_pool
from xen_providers.methods.work import Work


async def _settled(call: Call) -> MethodResult:
    await call.replica.settle("pool", call.ref)
    return MethodResult(COMPLETED)


async def _create(call: Call, inputs: Inputs) -> MethodResult:
    """Give the pool a name and a description: there is always one pool, and it only has to be named."""
    given = {"name_label": needed("Name", inputs.text("Name") or None), "name_description": inputs.text("Description")}

    async def name(work: Work) -> None:
        await work.update("pool", call.ref, await work.xen("pool.get_record", call.ref), given)

    await call.do(name)
    return await _settled(call)


async def _remove_host(call: Call, inputs: Inputs) -> MethodResult:
    """Let a host on which no machine runs leave the pool. It forgets everything that it had here."""
    host = needed("Host", inputs.element("Host", HOST_COMPUTER_SYSTEM))
    await call.xen("pool.eject", host.ref)
    await call.replica.settle("host", host.ref)
    return await _settled(call)


async def _enable_ha(call: Call, inputs: Inputs) -> MethodResult:
    """Have machines restarted when their host fails; the default storage carries the heartbeat."""
    await call.xen("pool.enable_ha", [call.record["default_SR"]], {})
    return await _settled(call)


async def _disable_ha(call: Call, inputs: Inputs) -> MethodResult:
    await call.xen("pool.disable_ha")
    return await _settled(call)


async def _set_default_storage(call: Call, inputs: Inputs) -> MethodResult:
    """Say where images are made if a request names no storage pool."""
    await call.xen("pool.set_default_SR", call.ref, find_pool(call, inputs, "StoragePool"))
    return await _settled(call)


METHODS: Mapping[str, MappedMethod] = {
    "Create": method(_create, MANAGEMENT, Name=Parameter("string"), Description=Parameter("string")),
    "RemoveHost": method(_remove_host, MANAGEMENT, Host=reference(SYSTEM)),
    "EnableHighAvailability": method(_enable_ha),
    "DisableHighAvailability": method(_disable_ha),
    "SetDefaultStoragePool": method(_set_default_storage, MANAGEMENT, StoragePool=reference("CIM_ResourcePool")),
}
