"""Resources of virtual machines as clients give them: CIM_ResourceAllocationSettingData.

Whatever settings are of, they are first read, which finds what is wrong with them, and only then anything is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from cim_provider import InstanceName
from xen_providers.conversions import xen_id
from xen_providers.methods.inputs import Settings
from xen_providers.methods.outcomes import Failure, MethodError, invalid
from xen_providers.methods.units import bytes_in, is_count
from xen_providers.methods.work import Work
from xenapi_client import Record

PROCESSOR, MEMORY = "Processor", "Memory"
"""How processors and memory are told apart from devices, in the InstanceID ``Xen:<machine>/<device>``."""


@dataclass(frozen=True)
class Resource:
    """A resource that a machine has: what an InstanceID names."""

    machine: str
    """Reference of the VM."""
    kind: type[Plan]
    device: str | None = None
    """Reference of the VBD, VIF or console."""
    key: str | None = None
    """The key of a key-value pair."""


class Plan(ABC):
    """What is to be done with a resource, as far as settings say it. Kinds of resources are its subclasses."""

    class_name: str
    """The class of the settings."""

    @classmethod
    @abstractmethod
    def read(cls, settings: Settings) -> Plan:
        """Read settings; MethodError if they say what cannot be."""

    @abstractmethod
    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Give a machine the resource, and return the name of its settings. A new machine has none of its own."""

    @abstractmethod
    async def change(self, work: Work, resource: Resource) -> None:
        """Make a resource what the settings say."""

    @classmethod
    @abstractmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take a resource away from its machine: all of it, or what ``settings`` say."""


async def settings_name(work: Work, class_name: str, vm: str, device: str) -> InstanceName:
    """Return the name of the settings of a resource."""
    uuid = await work.xen("VM.get_uuid", vm)
    return InstanceName(class_name, (("InstanceID", f"{xen_id(uuid)}/{device}"),))


def runs(record: Record) -> bool:
    """Say whether a machine has a domain, so that changes of its resources concern that."""
    return record["power_state"] in ("Running", "Paused")


def count(settings: Settings) -> int | None:
    """Return VirtualQuantity as a number of things."""
    units = settings.text("AllocationUnits")
    if units is not None and not is_count(units):
        raise invalid(f"{settings.parameter}.AllocationUnits", f"things are counted, not measured in {units!r}.")
    return settings.number("VirtualQuantity")


def amount(settings: Settings, name: str, otherwise: int = 1) -> int | None:
    """Return a property as a number of bytes; ``otherwise`` is the unit where none is given."""
    quantity = settings.number(name)
    units = settings.text("AllocationUnits")
    factor = otherwise if units is None else bytes_in(units)
    if factor is None:
        raise invalid(f"{settings.parameter}.AllocationUnits", f"{units!r} is no unit of data.")
    return None if quantity is None else quantity * factor


@dataclass(frozen=True)
class Processors(Plan):
    """Virtual processors: how many, and how they are scheduled."""

    class_name = "Xen_ProcessorSettingData"

    quantity: int | None
    at_startup: int | None
    parameters: dict[str, str]

    @classmethod
    def read(cls, settings: Settings) -> Processors:
        """Read VirtualQuantity, Reservation (how many there are at the start), Limit (cap) and Weight."""
        quantity = count(settings)
        if quantity == 0:
            raise invalid(f"{settings.parameter}.VirtualQuantity", "a machine has at least one processor.")
        limits = {"cap": settings.number("Limit"), "weight": settings.number("Weight")}
        given = {key: str(value) for key, value in limits.items() if value is not None}
        return cls(quantity, settings.number("Reservation"), given)

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Add processors to those there are."""
        record = await work.xen("VM.get_record", vm)
        total = self.quantity or 1
        if not to_new:
            total += await _online(work, record) if runs(record) else int(record["VCPUs_max"])
        await self._set(work, vm, record, total)
        return await settings_name(work, self.class_name, vm, PROCESSOR)

    async def change(self, work: Work, resource: Resource) -> None:
        """Set how many processors there are, and how they are scheduled."""
        record = await work.xen("VM.get_record", resource.machine)
        await self._set(work, resource.machine, record, self.quantity)

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take VirtualQuantity processors away."""
        record = await work.xen("VM.get_record", resource.machine)
        quantity = None if settings is None else count(settings)
        if quantity is None:
            raise MethodError(Failure.INVALID_PARAMETER, "VirtualQuantity says how many processors are to go.")
        left = (await _online(work, record) if runs(record) else int(record["VCPUs_max"])) - quantity
        if left < 1:
            raise MethodError(Failure.INVALID_PARAMETER, "A machine has at least one processor.")
        await cls(left, None, {}).change(work, resource)

    async def _set(self, work: Work, vm: str, record: Record, total: int | None) -> None:
        old, old_startup = int(record["VCPUs_max"]), int(record["VCPUs_at_startup"])
        if total is not None and runs(record):
            online = await _online(work, record)
            await work.change("VM.set_VCPUs_number_live", vm, str(total), back=[str(online)])
        elif total is not None or self.at_startup is not None:
            most = old if total is None else total
            startup = most if self.at_startup is None else self.at_startup
            if not 1 <= startup <= most:
                raise MethodError(Failure.INVALID_PARAMETER, f"Reservation: {startup} is not from 1 to {most}.")
            steps = [("VCPUs_max", most, old), ("VCPUs_at_startup", startup, old_startup)]
            for field, number, before in steps if most >= old else reversed(steps):
                await work.change(f"VM.set_{field}", vm, str(number), back=[str(before)])
        parameters = {**record["VCPUs_params"], **self.parameters}
        if parameters != record["VCPUs_params"]:
            await work.change("VM.set_VCPUs_params", vm, parameters, back=[record["VCPUs_params"]])
            for key, value in self.parameters.items() if runs(record) else ():
                await work.xen("VM.add_to_VCPUs_params_live", vm, key, value)


async def _online(work: Work, record: Record) -> int:
    """Return how many processors the domain of a machine has now."""
    return int(await work.xen("VM_metrics.get_VCPUs_number", record["metrics"]))


MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Memory(Plan):
    """Memory: how much there can be at most, and within which bounds it may change."""

    class_name = "Xen_MemorySettingData"

    quantity: int | None
    least: int | None
    most: int | None

    @classmethod
    def read(cls, settings: Settings) -> Memory:
        """Read VirtualQuantity (what the guest sees), Reservation and Limit (the range of what it has)."""
        quantity = amount(settings, "VirtualQuantity", MEBIBYTE)
        if quantity == 0:
            raise invalid(f"{settings.parameter}.VirtualQuantity", "a machine has some memory.")
        return cls(quantity, amount(settings, "Reservation", MEBIBYTE), amount(settings, "Limit", MEBIBYTE))

    async def add(self, work: Work, vm: str, *, to_new: bool) -> InstanceName:
        """Add memory to what there is."""
        record = await work.xen("VM.get_record", vm)
        more = self.quantity or 0
        if to_new:
            await self._set(work, vm, record, self.quantity, self.least, self.most)
        else:
            top = int(record["memory_static_max"]) + more
            range_ = [int(record[f"memory_dynamic_{end}"]) + more for end in ("min", "max")]
            await self._set(work, vm, record, top, self.least or range_[0], self.most or range_[1])
        return await settings_name(work, self.class_name, vm, MEMORY)

    async def change(self, work: Work, resource: Resource) -> None:
        """Set how much there is."""
        record = await work.xen("VM.get_record", resource.machine)
        await self._set(work, resource.machine, record, self.quantity, self.least, self.most)

    @classmethod
    async def remove(cls, work: Work, resource: Resource, settings: Settings | None) -> None:
        """Take VirtualQuantity of memory away."""
        less = None if settings is None else cls.read(settings).quantity
        if less is None:
            raise MethodError(Failure.INVALID_PARAMETER, "VirtualQuantity says how much memory is to go.")
        record = await work.xen("VM.get_record", resource.machine)
        left = int(record["memory_static_max"]) - less
        if left <= 0:
            raise MethodError(Failure.INVALID_PARAMETER, "A machine has some memory.")
        least, most = (min(left, int(record[f"memory_dynamic_{end}"])) for end in ("min", "max"))
        await cls(left, least, most).change(work, resource)

    async def _set(
        self, work: Work, vm: str, record: Record, top: int | None, least: int | None, most: int | None
    ) -> None:
        """Set the limits. Where the range of what the guest has is not given it is all that the guest sees."""
        old = {
            name: int(record[f"memory_{name}"]) for name in ("static_min", "static_max", "dynamic_min", "dynamic_max")
        }
        new_top = old["static_max"] if top is None else top
        new_most = most or (new_top if top is not None else old["dynamic_max"])
        new_least = least or (new_most if top is not None else min(old["dynamic_min"], new_most))
        if not new_least <= new_most <= new_top:
            raise MethodError(Failure.INVALID_PARAMETER, "Reservation <= Limit <= VirtualQuantity does not hold.")
        if not runs(record):
            await work.change(
                "VM.set_memory_limits",
                vm,
                *map(str, (min(old["static_min"], new_least), new_top, new_least, new_most)),
                back=[str(old[name]) for name in ("static_min", "static_max", "dynamic_min", "dynamic_max")],
            )
        elif new_top > old["static_max"]:
            raise MethodError(Failure.INVALID_STATE, "A machine that runs cannot have more memory than it began with.")
        else:
            back = [str(old[name]) for name in ("dynamic_min", "dynamic_max")]
            await work.change("VM.set_memory_dynamic_range", vm, str(new_least), str(new_most), back=back)
