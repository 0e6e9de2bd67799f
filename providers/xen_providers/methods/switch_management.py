"""Methods of Xen_VirtualSwitchManagementService: virtual switches are internal, or join VLANs and bonds (DSP1097)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cim_provider import InstanceName, MethodResult
from xen_providers.conversions import NULL
from xen_providers.mapping.declaration import MappedMethod
from xen_providers.methods.call import Call
from xen_providers.methods.embedded import last_part
from xen_providers.methods.inputs import Inputs, Settings, needed
from xen_providers.methods.objects import find_object
from xen_providers.methods.outcomes import COMPLETED, Failure, MethodError, invalid
from xen_providers.methods.parameters import (
    system_management_methods,
)
from xen_providers.methods.work import Work
from xenapi_client import Record

LARGEST_TAG = 4094


@dataclass(frozen=True)
class Uplink:
    """How a switch is to reach out of its hosts: a VLAN on one device, or a bond of several."""

    parameter: str
    devices: tuple[str, ...]
    tag: int | None
    host: str | None
    """Uuid; None means all hosts."""

    @classmethod
    def read(cls, settings: Settings) -> Uplink:
        """Read Connection (names of devices), VlanTag and PoolID (the host)."""
        words = [word.strip() for text in settings.texts("Connection") or [] for word in text.split(",")]
        devices = tuple(dict.fromkeys(word for word in words if word))
        if not devices:
            raise invalid(f"{settings.parameter}.Connection", "it names the devices of the hosts.")
        text = settings.text("VlanTag") if isinstance(settings.instance.get("VlanTag"), str) else None
        tag = settings.number("VlanTag") if text != "" else None
        if tag is not None and not 0 < tag <= LARGEST_TAG:
            raise invalid(f"{settings.parameter}.VlanTag", f"{tag} is not from 1 to {LARGEST_TAG}.")
        if (tag is None) == (len(devices) == 1):
            raise invalid(settings.parameter, "a switch joins one device by a VlanTag, or several without one.")
        return cls(settings.parameter, devices, tag, last_part(settings.text("PoolID") or "") or None)

    async def join(self, call: Call, work: Work, network: str) -> None:
        """Join a network to the devices, on each host that has them."""
        pifs = await work.xen("PIF.get_all_records")
        found = 0
        for host, record in call.view.version.records("host").items():
            if self.host is not None and record["uuid"] != self.host:
                continue
            here = {each["device"]: ref for ref, each in pifs.items() if each["host"] == host and _is_plain(each)}
            if not all(device in here for device in self.devices):
                continue
            found += 1
            members = [here[device] for device in self.devices]
            if self.tag is not None:
                await work.make("VLAN.create", members[0], str(self.tag), network)
            else:
                await work.make("Bond.create", network, members, "", "balance-slb", {})
        if not found:
            raise invalid(f"{self.parameter}.Connection", f"no host has {', '.join(self.devices)}.")


def _is_plain(pif: Record) -> bool:
    """Say whether VLANs and bonds can be made on a device: it is no VLAN itself."""
    return int(pif["VLAN"]) < 0


async def _leave(work: Work, pif: str) -> None:
    """Remove the VLAN or bond that a device is."""
    record = await work.xen("PIF.get_record", pif)
    if record["VLAN_master_of"] != NULL:
        await work.xen("VLAN.destroy", record["VLAN_master_of"])
    elif record["bond_master_of"]:
        for bond in record["bond_master_of"]:
            await work.xen("Bond.destroy", bond)
    else:
        raise MethodError(Failure.INVALID_STATE, "A physical device cannot leave its network.")


def find_network(call: Call, parameter: str, value: Any) -> tuple[str, Record]:
    """Return the network behind a switch or its settings."""
    return find_object(call, "network", parameter, value, "virtual switch")


def _switch_name(uuid: str) -> InstanceName:
    return InstanceName("Xen_VirtualSwitch", (("CreationClassName", "Xen_VirtualSwitch"), ("Name", uuid)))


async def _port_name(work: Work, pif: str) -> InstanceName:
    record = await work.xen("PIF.get_record", pif)
    host = await work.xen("host.get_uuid", record["host"])
    return InstanceName("Xen_HostNetworkPortSettingData", (("InstanceID", f"Xen:{host}/{record['uuid']}"),))


def _other_config(settings: Settings) -> dict[str, str] | None:
    """Return the entries of other_config, which settings of machines (clients use them here too) spell otherwise."""
    return settings.entries("OtherConfig" if "OtherConfig" in settings else "Other_Config")


async def _define_system(call: Call, inputs: Inputs) -> MethodResult:
    """Make a switch: internal, or with the VLANs or bonds that the resource settings describe."""
    settings = needed("SystemSettings", inputs.settings("SystemSettings"))
    name = needed(f"{settings.parameter}.ElementName", settings.text("ElementName") or None)
    uplinks = [Uplink.read(each) for each in inputs.all_settings("ResourceSettings")]
    record = {
        "name_label": name,
        "name_description": settings.text("Description") or "",
        "MTU": "1500",
        "other_config": _other_config(settings) or {},
        "bridge": "",
        "managed": True,
        "tags": [],
    }

    async def define(work: Work) -> tuple[str, str]:
        network = await work.make("network.create", record)
        for uplink in uplinks:
            await uplink.join(call, work, network)
        return network, await work.xen("network.get_uuid", network)

    network, uuid = await call.do(define)
    await call.replica.settle("network", network)
    return MethodResult(COMPLETED, {"ResultingSystem": _switch_name(uuid)})


async def _destroy_system(call: Call, inputs: Inputs) -> MethodResult:
    """Destroy a switch that no machine is at, with its VLANs and bonds."""
    network, _ = find_network(call, "AffectedSystem", inputs.get("AffectedSystem"))
    if await call.xen("network.get_VIFs", network):
        raise MethodError(Failure.INVALID_STATE, "Virtual machines are at the switch.")

    async def destroy(work: Work) -> None:
        for pif in await work.xen("network.get_PIFs", network):
            await _leave(work, pif)
        await work.xen("network.destroy", network)

    await call.do(destroy)
    await call.replica.settle("network", network)
    return MethodResult(COMPLETED)


async def _add_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Join a switch to VLANs or bonds."""
    network, record = find_network(call, "AffectedConfiguration", inputs.get("AffectedConfiguration"))
    uplinks = [Uplink.read(each) for each in inputs.all_settings("ResourceSettings")]
    if not uplinks:
        raise invalid("ResourceSettings", "it is missing.")

    async def add(work: Work) -> list[InstanceName]:
        for uplink in uplinks:
            await uplink.join(call, work, network)
        pifs = await work.xen("network.get_PIFs", network)
        return [await _port_name(work, pif) for pif in pifs if pif not in record["PIFs"]]

    names = await call.do(add)
    await call.replica.settle("network", network)
    return MethodResult(COMPLETED, {"ResultingResourceSettings": names})


def _device(call: Call, parameter: str, value: Any) -> str:
    """Return the device that a path of its settings, or their InstanceID, names."""
    return find_object(call, "PIF", parameter, value, "device")[0]


async def _remove_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Remove VLANs or bonds from switches."""
    devices = [_device(call, path, value) for path, value in inputs.values("ResourceSettings")]
    if not devices:
        raise invalid("ResourceSettings", "it is missing.")

    async def take(work: Work) -> None:
        for pif in devices:
            await _leave(work, pif)

    await call.do(take)
    for pif in devices:
        await call.replica.settle("PIF", pif)
    return MethodResult(COMPLETED)


MODES = {0: "None", 1: "DHCP", 2: "Static"}
PURPOSE = "management_purpose"


async def _modify_resource_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Change the addresses of devices, and what they are for."""
    changes: list[tuple[str, str | None, Sequence[str], str | None]] = []
    for settings in inputs.all_settings("ResourceSettings"):
        pif = _device(call, settings.parameter, settings.text("InstanceID"))
        number = settings.number("IPConfigurationMode")
        if number is not None and number not in MODES:
            raise invalid(f"{settings.parameter}.IPConfigurationMode", f"{number} is none of {sorted(MODES)}.")
        address = [settings.text(each) or "" for each in ("IPAddress", "IPSubnetMask", "IPGateway", "DNS")]
        changes.append((pif, None if number is None else MODES[number], address, settings.text("ManagementPurpose")))
    if not changes:
        raise invalid("ResourceSettings", "it is missing.")

    async def modify(work: Work) -> list[InstanceName]:
        for pif, mode, address, purpose in changes:
            record = await work.xen("PIF.get_record", pif)
            if mode is not None:
                before = [record[each] for each in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS")]
                await work.change("PIF.reconfigure_ip", pif, mode, *address, back=before)
            if purpose is not None:
                config = {key: value for key, value in record["other_config"].items() if key != PURPOSE}
                new = {**config, PURPOSE: purpose} if purpose else config
                await work.change("PIF.set_other_config", pif, new, back=[record["other_config"]])

        return [await _port_name(work, pif) for pif, *_ in changes]

    names = await call.do(modify)
    for pif, *_ in changes:
        await call.replica.settle("PIF", pif)
    return MethodResult(COMPLETED, {"ResultingResourceSettings": names})


async def _modify_system_settings(call: Call, inputs: Inputs) -> MethodResult:
    """Change the name, the description and other_config of a switch: all that are given, or none."""
    settings = needed("SystemSettings", inputs.settings("SystemSettings"))
    network, _ = find_network(call, f"{settings.parameter}.InstanceID", settings.text("InstanceID"))
    given = {
        "name_label": settings.text("ElementName"),
        "name_description": settings.text("Description"),
        "other_config": _other_config(settings),
    }

    async def modify(work: Work) -> None:
        await work.update("network", network, await work.xen("network.get_record", network), given)

    await call.do(modify)
    await call.replica.settle("network", network)
    return MethodResult(COMPLETED)


METHODS: Mapping[str, MappedMethod] = {
    **system_management_methods(
        {
            "DefineSystem": _define_system,
            "DestroySystem": _destroy_system,
            "ModifySystemSettings": _modify_system_settings,
            "AddResourceSettings": _add_resource_settings,
            "ModifyResourceSettings": _modify_resource_settings,
            "RemoveResourceSettings": _remove_resource_settings,
        }
    ),
}
