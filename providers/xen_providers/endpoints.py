"""LAN endpoints: the two ends of the cable between a virtual network port and a virtual switch (DSP1050)."""

from __future__ import annotations

from typing import Any

from xen_providers.devices import ATTACHED
from xen_providers.mapping.declaration import MappedClass, key, string, uint16, uint32
from xen_providers.mapping.expressions import computed, constant
from xen_providers.virtual_systems import COMPUTER_SYSTEM

ETHERNET = 6
"""A ProtocolIFType, of those of the IANA."""

OF_MACHINE = COMPUTER_SYSTEM.where.under(("VM",))
"""Whether a network interface is that of a machine: those of templates and snapshots are mere settings."""


def _bits(octets: Any) -> int | None:
    return None if octets is None else int(octets) * 8


def _connected_to(attached: bool | None, network: str | None) -> str | None:
    return network if attached else None


def lan_endpoint(name: str, system: str, owner: str, caption: str) -> MappedClass:
    """Declare the endpoints on one side: of systems of a class, to which the reference ``owner`` leads."""
    return MappedClass(
        name,
        "CIM_LANEndpoint",
        source="VIF",
        where=OF_MACHINE,
        properties={
            "SystemCreationClassName": key(string(constant(system))),
            "SystemName": key(string(f"{owner}.uuid")),
            "CreationClassName": key(string(constant(name))),
            "Name": key(string("uuid")),
            "Caption": string(constant(caption)),
            "ElementName": string("MAC"),
            "MACAddress": string("MAC", lambda mac: mac.replace(":", "")),  # twelve digits, as the DMTF wants it
            "LANID": string(computed(_connected_to, "currently_attached", "network.uuid")),
            "ProtocolIFType": uint16(constant(ETHERNET)),
            "MaxDataSize": uint32(computed(_bits, "MTU")),
            **ATTACHED,
        },
    )
