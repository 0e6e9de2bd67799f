"""What devices of virtual machines, switches and hosts have in common: their keys, and whether they are attached."""

from __future__ import annotations

from collections.abc import Mapping

from xen_providers.conversions import part_id
from xen_providers.declaration import Mapped, MappedClass, key, string, uint16, uint16s
from xen_providers.expressions import Expression, computed, constant, joined

ENABLED, OFFLINE = 2, 6
OK, DORMANT = 2, 15
HEALTHY, NOT_APPLICABLE = 5, 12


def device(
    name: str,
    superclass: str,
    source: str,
    system: MappedClass,
    owner: str,
    properties: Mapping[str, Mapped],
    where: Expression | None = None,
) -> MappedClass:
    """Declare a device: one per record that has a system, to which the reference ``owner`` leads."""
    has_system = system.where.under((owner,))
    return MappedClass(
        name,
        superclass,
        source,
        {
            "SystemCreationClassName": key(string(constant(system.name))),
            "SystemName": key(string(f"{owner}.uuid")),
            "CreationClassName": key(string(constant(name))),
            "DeviceID": key(string(computed(part_id, f"{owner}.uuid", "uuid"))),
            **properties,
        },
        where=has_system if where is None else joined(lambda *holds: all(holds), [has_system, where]),
    )


ATTACHED: Mapping[str, Mapped] = {
    "EnabledState": uint16("currently_attached", lambda attached: ENABLED if attached else OFFLINE),
    "EnabledDefault": uint16(constant(ENABLED)),
    "RequestedState": uint16(constant(NOT_APPLICABLE)),
    "OperationalStatus": uint16s("currently_attached", lambda attached: [OK if attached else DORMANT]),
    "Status": string("currently_attached", lambda attached: "OK" if attached else "Stopped"),
    "HealthState": uint16(constant(HEALTHY)),
}
"""The state of what can be attached and detached."""
