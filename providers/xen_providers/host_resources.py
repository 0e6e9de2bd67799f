"""What a host has a pool of, and virtual machines on it get a share of: processors and memory (DSP1041, DSP1043)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xen_providers.allocation import EXISTING
from xen_providers.conversions import part_id
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import Mapped, MappedClass, association, boolean, key, string, uint16, uint16s
from xen_providers.mapping.expressions import constant
from xen_providers.virtual_systems import COMPUTER_SYSTEM, SETTINGS, element_setting_data

OK, HEALTHY = 2, 5


def resource_pool(word: str, caption: str, resource_type: int, properties: Mapping[str, Mapped]) -> MappedClass:
    """Declare the pool that each host has of a kind of resource; ``word`` is the kind in the name of the class."""
    return MappedClass(
        f"Xen_{word}Pool",
        "CIM_ResourcePool",
        source="host",
        properties={
            "InstanceID": key(string("uuid", lambda uuid: part_id(uuid, f"{word}Pool"))),
            "Caption": string(constant(caption)),
            "ElementName": string("name_label"),
            "Name": string(constant(f"{word}Pool")),
            "PoolID": string("uuid"),
            "Primordial": boolean(constant(True)),
            "ResourceType": uint16(constant(resource_type)),
            "OperationalStatus": uint16s(constant([OK])),
            "Status": string(constant("OK")),
            "HealthState": uint16(constant(HEALTHY)),
            **properties,
        },
    )


def resource_settings(
    word: str, caption: str, resource_type: int, units: str, properties: Mapping[str, Mapped]
) -> MappedClass:
    """Declare what each virtual machine, template and snapshot is to have of a kind of resource."""
    return MappedClass(
        f"Xen_{word}SettingData",
        "CIM_ResourceAllocationSettingData",
        source="VM",
        properties={
            "InstanceID": key(string("uuid", lambda uuid: part_id(uuid, word))),
            "Caption": string(constant(caption)),
            "ElementName": string("name_label"),
            "ResourceType": uint16(constant(resource_type)),
            "PoolID": string("resident_on.uuid"),
            "AllocationUnits": string(constant(units)),
            "VirtualQuantityUnits": string(constant(units)),
            "AutomaticAllocation": boolean(constant(True)),
            "AutomaticDeallocation": boolean(constant(True)),
            **properties,
        },
    )


@dataclass(frozen=True)
class HostResource:
    """The classes of a kind of resource: those of virtual machines (from records of VM), and those of hosts."""

    word: str
    device: MappedClass
    settings: MappedClass
    host_device: MappedClass
    to_host: str
    """The reference from the record of a host's device to the host; "" if it is the host's."""
    pool: MappedClass
    capabilities: MappedClass

    @property
    def associations(self) -> tuple[MappedClass, ...]:
        """How they hang together: by the host that a virtual machine is on."""
        return (*self._of_virtual_machines(), *self._of_hosts())

    def _of_virtual_machines(self) -> tuple[MappedClass, ...]:
        word = self.word
        device, settings = (self.device, ""), (self.settings, "")
        return (
            association(
                f"Xen_ComputerSystem{word}",
                "Xen_SystemDevice",
                source="VM",
                ends={"GroupComponent": (COMPUTER_SYSTEM, ""), "PartComponent": device},
            ),
            association(
                f"Xen_{word}SettingsDefineState",
                "Xen_SettingsDefineState",
                source="VM",
                ends={"ManagedElement": device, "SettingData": settings},
            ),
            element_setting_data(word, self.settings),
            association(
                f"Xen_{word}SettingDataComponent",
                "Xen_VirtualSystemSettingDataComponent",
                source="VM",
                ends={"GroupComponent": (SETTINGS, ""), "PartComponent": settings},
            ),
            association(
                f"Xen_{word}AllocatedFromPool",
                "Xen_ElementAllocatedFromPool",
                source="VM",
                ends={"Antecedent": (self.pool, "resident_on"), "Dependent": device},
            ),
            association(
                f"Xen_{word}SettingAllocationFromPool",
                "Xen_ResourceAllocationFromPool",
                source="VM",
                ends={"Antecedent": (self.pool, "resident_on"), "Dependent": settings},
            ),
        )

    def _of_hosts(self) -> tuple[MappedClass, ...]:
        word, source = self.word, self.host_device.source
        return (
            association(
                f"Xen_HostComputerSystem{word}",
                "Xen_SystemDevice",
                source=source,
                ends={"GroupComponent": (HOST_COMPUTER_SYSTEM, self.to_host), "PartComponent": (self.host_device, "")},
            ),
            association(
                f"Xen_{word}PoolComponent",
                "Xen_ConcreteComponent",
                source=source,
                ends={"GroupComponent": (self.pool, self.to_host), "PartComponent": (self.host_device, "")},
            ),
            association(
                f"Xen_Hosted{word}Pool",
                "Xen_HostedResourcePool",
                source="host",
                ends={"GroupComponent": (HOST_COMPUTER_SYSTEM, ""), "PartComponent": (self.pool, "")},
            ),
            *(
                association(
                    name,
                    "Xen_ElementCapabilities",
                    source="host",
                    ends={"ManagedElement": (element, ""), "Capabilities": (self.capabilities, "")},
                    properties=EXISTING,
                )
                for name, element in (
                    (f"Xen_Host{word}AllocationCapabilities", HOST_COMPUTER_SYSTEM),
                    (f"Xen_{word}PoolAllocationCapabilities", self.pool),
                )
            ),
        )
