"""Devices of virtual machines as clients give them: disks, network ports, consoles and key-value pairs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from cim_provider import CimError, InstanceName, MethodResult, Status
from xen_providers.conversions import NULL
from xen_providers.methods.call import Call
from xen_providers.methods.embedded import last_part
from xen_providers.methods.inputs import Inputs, Settings
from xen_providers.methods.outcomes import COMPLETED, Failure, MethodError, invalid
from xen_providers.methods.resource_settings import MEMORY, PROCESSOR, Plan, Resource, amount, count, settings_name
from xen_providers.methods.work import Work
from xenapi_client import Record

QOS: dict[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}}

READABLE = 1
CD_TYPES = (15, 16)


async def find(work: Work, cls: str, uuid: str, parameter: str) -> str:
    """Return the object with a uuid that a parameter names."""
    try:
        return str(await work.xen(f"{cls}.get_by_uuid", uuid))
    except CimError as error:
        if error.status is not Status.NOT_FOUND:
            raise
        raise invalid(parameter, f"there is no {cls} {uuid}.") from None


async def plug(work: Work, cls: str, vm: str, device: str) -> None:
    """Attach a device that was just made, if its machine runs."""
    if await work.xen("VM.get_power_state", vm) == "Running":
        await work.xen(f"{cls}.plug", device)


async def free_device(work: Work, cls: str, vm: str) -> str:
    """Return the first place where a machine can have another device."""
    free = await work.xen(f"VM.get_allowed_{cls}_devices", vm)
    if not free:
        raise MethodError(Failure.FAILED, f"The machine has no room for another {cls}.", "DEVICE_ALREADY_EXISTS")
    return str(free[0])


async def detach(work: Work, cls: str, device: str) -> None:
    """Unplug a device that is attached, and remove it."""
    if await work.xen(f"{cls}.get_currently_attached", device):
        await work.attach(f"{cls}.unplug", device, undo=f"{cls}.plug")
    await work.xen(f"{cls}.destroy", device)


@dataclass(frozen=True)
class Disk(Plan):
    """A disk or a CD drive: a disk image that there is, or a new one, or (in a CD drive) none."""

    class_name = "Xen_DiskSettingData"

    parameter: str
    is_cd: bool
    image: str | None
    """Uuid of a disk image; empty for none."""
    repository: str | None
    """Uuid of the storage repository of a new disk image."""
    size: int | None
    name: str | None
    description: str | None
    place: str | None
    read_only: bool | None
    bootable: bool | None

    @classmethod
    def read(cls, settings: Settings) -> Disk:
        """Read HostResource or HostExtentName (an image that there is), else PoolID and VirtualQuantity (a new one)."""
        is_cd = settings.number("ResourceType") in CD_TYPES
        images = settings.texts("HostResource")
        image = last_part(images[0]) if images else settings.text("HostExtentName")
        access = settings.number("Access")
        if access not in (None, 1, 2, 3):
            raise invalid(f"{settings.parameter}.Access", f"{access} is none of 1 (read), 2 (write) and 3 (both).")
        place = settings.text("AddressOnParent")
        if place and not re.fullmatch(r"\d{1,3}|[a-z]{1,5}\d*", place):
            raise invalid(f"{settings.parameter}.AddressOnParent", f"{place!r} is no place for a disk.")
        return cls(
            settings.parameter,
            is_cd,
            image,
            last_part(settings.text("PoolID") or "") or None,
            (count(settings) and None) if is_cd else amount(settings, "VirtualQuantity"),
            settings.text("ElementName"),
            settings.text("Description"),
            place or None,
            None if access is None else access == READABLE,
            settings.flag("Bootable"),
        )

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Give a machine the disk, at once if it runs."""
        image = await self.find_image(work)
        record = {
            "VM": vm,
            "VDI": image,
            "userdevice": self.place or await free_device(work, "VBD", vm),
            "bootable": bool(self.bootable),
            "mode": "RO" if self.is_cd or self.read_only else "RW",
            "type": "CD" if self.is_cd else "Disk",
            "unpluggable": True,
            "empty": image == NULL,
            "other_config": {},
            **QOS,
        }
        vbd = await work.make("VBD.create", record)
        await plug(work, "VBD", vm, vbd)
        return await settings_name(work, self.class_name, vm, await work.xen("VBD.get_uuid", vbd))

    async def find_image(self, work: Work) -> str:
        """Return the disk image that the settings name, or make the new one that they describe."""
        if self.image:
            return await find(work, "VDI", self.image, f"{self.parameter}.HostResource")
        if self.is_cd:
            if self.repository is not None:
                raise invalid(
                    f"{self.parameter}.PoolID", "a CD is an image that there is; HostResource has to name it."
                )
            return NULL
        if not self.size:
            raise invalid(f"{self.parameter}.VirtualQuantity", "a new disk has a size.")
        record = {
            "name_label": self.name or "",
            "name_description": self.description or "",
            "SR": await self._repository(work),
            "virtual_size": str(self.size),
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
            "xenstore_data": {},
            "sm_config": {},
            "tags": [],
        }
        return await work.make("VDI.create", record)

    async def _repository(self, work: Work) -> str:
        if self.repository is not None:
            return await find(work, "SR", self.repository, f"{self.parameter}.PoolID")
        (pool,) = await work.xen("pool.get_all")
        default = str(await work.xen("pool.get_default_SR", pool))
        if default == NULL:
            raise invalid(f"{self.parameter}.PoolID", "it is missing, and the pool has no default storage.")
        return default

    async def change(self, work: Work, resource: Resource) -> None:
        """Insert or eject a CD, grow or rename a disk image, move a disk to another place."""
        vbd = str(resource.device)
        record = await work.xen("VBD.get_record", vbd)
        if record["type"] == "CD" and self.image is not None:
            await self._insert(work, vbd, record)
        elif self.image and record["VDI"] != await find(work, "VDI", self.image, f"{self.parameter}.HostResource"):
            raise invalid(f"{self.parameter}.HostResource", "only what is in a CD drive can be exchanged.")
        mode = None if self.read_only is None or record["type"] == "CD" else "RO" if self.read_only else "RW"
        await work.update("VBD", vbd, record, {"userdevice": self.place, "bootable": self.bootable, "mode": mode})
        if record["type"] != "CD":
            await self._change_image(work, record["VDI"])

    async def _insert(self, work: Work, vbd: str, record: Record) -> None:
        image = await find(work, "VDI", self.image, f"{self.parameter}.HostExtentName") if self.image else NULL
        before = NULL if record["empty"] else record["VDI"]
        if image == before:
            return
        if before != NULL:
            await work.attach("VBD.eject", vbd, undo="VBD.insert", back=[before])
        if image != NULL:
            await work.attach("VBD.insert", vbd, image, undo="VBD.eject")

    async def _change_image(self, work: Work, vdi: str) -> None:
        record = await work.xen("VDI.get_record", vdi)
        await work.update("VDI", vdi, record, {"name_label": self.name, "name_description": self.description})
        if self.size is not None and self.size != int(record["virtual_size"]):
            if self.size < int(record["virtual_size"]):
                raise invalid(f"{self.parameter}.VirtualQuantity", "a disk can only grow.")
            await work.xen("VDI.resize", vdi, str(self.size))  # last: nobody can make it smaller again

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take a disk away from its machine, at once if it runs. The disk image stays."""
        await detach(work, "VBD", str(resource.device))


@dataclass(frozen=True)
class NetworkPort(Plan):
    """A virtual network interface."""

    class_name = "Xen_NetworkPortSettingData"

    parameter: str
    network: str | None
    """Uuid."""
    mac: str | None
    place: str | None

    @classmethod
    def read(cls, settings: Settings) -> NetworkPort:
        """Read PoolID (the network), Address (the MAC address, else one is chosen) and AddressOnParent (the device)."""
        mac = settings.text("Address")
        if mac and not re.fullmatch(r"(?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}", mac):
            raise invalid(f"{settings.parameter}.Address", f"{mac!r} is no MAC address.")
        digits = re.sub("[:-]", "", mac or "").lower()
        place = settings.text("AddressOnParent")
        if place and not place.isdigit():
            raise invalid(f"{settings.parameter}.AddressOnParent", f"{place!r} is not the number of a device.")
        network = last_part(settings.text("PoolID") or "") or None
        pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
        return cls(settings.parameter, network, ":".join(pairs) or None, place or None)

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Give a machine the interface, at once if it runs."""
        if self.network is None:
            raise invalid(f"{self.parameter}.PoolID", "it is missing; it says which network.")
        network = await find(work, "network", self.network, f"{self.parameter}.PoolID")
        record = {
            "VM": vm,
            "network": network,
            "device": self.place or await free_device(work, "VIF", vm),
            "MAC": self.mac or "",
            "MTU": str(await work.xen("network.get_MTU", network)),
            "other_config": {},
            **QOS,
        }
        vif = await work.make("VIF.create", record)
        await plug(work, "VIF", vm, vif)
        return await settings_name(work, self.class_name, vm, await work.xen("VIF.get_uuid", vif))

    async def change(self, work: Work, resource: Resource) -> None:
        """Move an interface to another network, or give it another address.

        The Xen-API fixes the address of an interface when it is made, so that takes its place with a new one.
        """
        record = await work.xen("VIF.get_record", str(resource.device))
        network = record["network"]
        if self.network is not None:
            network = await find(work, "network", self.network, f"{self.parameter}.PoolID")
        if self.place not in (None, record["device"]) or self.mac not in (None, record["MAC"]):
            raise invalid(f"{self.parameter}.Address", "the address and the number of a device that exists are fixed.")
        if network != record["network"]:
            await work.change("VIF.move", str(resource.device), network, back=[record["network"]])

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take an interface away from its machine, at once if it runs."""
        await detach(work, "VIF", str(resource.device))


PROTOCOLS = {0: "vt100", 1: "rfb", 2: "rdp"}


@dataclass(frozen=True)
class Console(Plan):
    """A console."""

    class_name = "Xen_ConsoleSettingData"

    protocol: str

    @classmethod
    def read(cls, settings: Settings) -> Console:
        """Read Protocol: 0 (VT100), 1 (RFB) or 2 (RDP)."""
        number = settings.number("Protocol")
        if number is not None and number not in PROTOCOLS:
            raise invalid(f"{settings.parameter}.Protocol", f"{number} is none of 0 (VT100), 1 (RFB) and 2 (RDP).")
        return cls(PROTOCOLS[1 if number is None else number])

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Give a machine the console."""
        record = {"VM": vm, "protocol": self.protocol, "location": "", "other_config": {}}
        console = await work.make("console.create", record)
        return await settings_name(work, self.class_name, vm, await work.xen("console.get_uuid", console))

    async def change(self, work: Work, resource: Resource) -> None:
        """Refuse to make a console another one."""
        if await work.xen("console.get_protocol", str(resource.device)) != self.protocol:
            raise MethodError(Failure.INVALID_PARAMETER, "The protocol of a console is fixed.")

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take a console away from its machine."""
        await work.xen("console.destroy", str(resource.device))


KVP_PREFIX = "vm-data/"
KVP_ENABLED = "kvp_enabled"
KVP_RESERVED = frozenset({PROCESSOR, MEMORY})
"""What no key can be: in an InstanceID it names the machine's processors or its memory."""


async def _show_pairs(work: Work, vm: str) -> None:
    """Let the pairs of a machine be seen."""
    record = await work.xen("VM.get_record", vm)
    await work.update("VM", vm, record, {"other_config": {KVP_ENABLED: "true"}})


async def set_up_pairs(call: Call, inputs: Inputs) -> MethodResult:
    """SetupKVPCommunication: let the pairs of a machine be seen, those it has and those to come."""
    await call.do(lambda work: _show_pairs(work, call.ref))
    await call.replica.settle("VM", call.ref)
    return MethodResult(COMPLETED)


@dataclass(frozen=True)
class KeyValuePair(Plan):
    """A value that the guest finds under a key in its part of xenstore."""

    class_name = "Xen_KVPSettingData"

    key: str
    value: str

    @classmethod
    def read(cls, settings: Settings) -> KeyValuePair:
        """Read Key (1 to 256 characters) and Value (up to 40,000)."""
        key, value = settings.text("key") or "", settings.text("value") or ""
        if not re.fullmatch(r"[\w./@+:-]{1,256}", key, re.ASCII):
            raise invalid(f"{settings.parameter}.key", "a key has 1 to 256 characters: letters, digits and ./@+:_-")
        if key in KVP_RESERVED:
            raise invalid(f"{settings.parameter}.key", f"{key} names other settings of the machine already.")
        if len(value) > 40_000:
            raise invalid(f"{settings.parameter}.value", "a value has 40,000 characters at most.")
        return cls(key, value)

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Set the value, and let the machine's pairs be seen."""
        await self.put(work, vm)
        await _show_pairs(work, vm)
        return await settings_name(work, self.class_name, vm, self.key)

    async def change(self, work: Work, resource: Resource) -> None:
        """Set another value under the same key."""
        await replace(self, key=str(resource.key)).put(work, resource.machine)

    async def put(self, work: Work, vm: str) -> None:
        """Set the value under the key."""
        data = await work.xen("VM.get_xenstore_data", vm)
        await work.change("VM.set_xenstore_data", vm, {**data, KVP_PREFIX + self.key: self.value}, back=[data])

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Remove the value."""
        data = await work.xen("VM.get_xenstore_data", resource.machine)
        left = {key: value for key, value in data.items() if key != f"{KVP_PREFIX}{resource.key}"}
        await work.change("VM.set_xenstore_data", resource.machine, left, back=[data])
