"""What devices of virtual machines, switches and hosts have in common: their keys, and whether they are attached."""

from __future__ import annotations

from collections.abc import Mapping

from cim_provider import InstanceName
from xen_providers.conversions import part_id
from xen_providers.mapping.declaration import WHOLE, Mapped, MappedClass, key, string, uint16, uint16s
from xen_providers.mapping.expressions import Expression, constant, joined, parse_path, value

ENABLED, OFFLINE = 2, 6
OK, DORMANT = 2, 15
HEALTHY, NOT_APPLICABLE = 5, 12
NOT_APPLICABLE_STATE = 5
"""What an EnabledState says where a RequestedState says 12."""


def device(
    name: str,
    superclass: str,
    source: str,
    system: MappedClass,
    owner: str,
    properties: Mapping[str, Mapped],
    where: Expression | None = None,
    *,
    part: Expression = value("uuid"),  # noqa: B008 (immutable)
    parts: Expression = WHOLE,
) -> MappedClass:
    """Declare a device: one per record that has a system, to which the reference ``owner`` leads.

    An ``owner`` of ``""`` is the record itself, ``part`` then what the device is of it; ``parts`` as in MappedClass.
    """
    prefix = parse_path(owner) if owner else ()
    has_system = system.where.under(prefix)
    uuid = value("uuid").under(prefix)
    return MappedClass(
        name,
        superclass,
        source,
        {
            "SystemCreationClassName": key(string(constant(system.name))),
            "SystemName": key(string(uuid)),
            "CreationClassName": key(string(constant(name))),
            "DeviceID": key(string(joined(part_id, [uuid, part]))),
            **properties,
        },
        where=has_system if where is None else joined(lambda *holds: all(holds), [has_system, where]),
        parts=parts,
    )


def device_name(name: str, system: MappedClass, uuid: str, part: str) -> InstanceName:
    """Return the name of a device of a system; ``uuid`` is that of the system."""
    keys = {
        "SystemCreationClassName": system.name,
        "SystemName": uuid,
        "CreationClassName": name,
        "DeviceID": f"Xen:{uuid}/{part}",
    }
    return InstanceName(name, tuple(keys.items()))


ATTACHED: Mapping[str, Mapped] = {
    "EnabledState": uint16("currently_attached", lambda attached: ENABLED if attached else OFFLINE),
    "EnabledDefault": uint16(constant(ENABLED)),
    "RequestedState": uint16(constant(NOT_APPLICABLE)),
    "OperationalStatus": uint16s("currently_attached", lambda attached: [OK if attached else DORMANT]),
    "Status": string("currently_attached", lambda attached: "OK" if attached else "Stopped"),
    "HealthState": uint16(constant(HEALTHY)),
}
"""The state of what can be attached and detached."""

PRESENT: Mapping[str, Mapped] = {
    "EnabledState": uint16(constant(NOT_APPLICABLE_STATE)),
    "EnabledDefault": uint16(constant(ENABLED)),
    "RequestedState": uint16(constant(NOT_APPLICABLE)),
    "OperationalStatus": uint16s(constant([OK])),
    "Status": string(constant("OK")),
    "HealthState": uint16(constant(HEALTHY)),
}
"""The state of what a virtual machine has as long as there is one: it cannot be enabled or disabled by itself."""
