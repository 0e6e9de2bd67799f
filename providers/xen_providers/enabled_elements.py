"""What can be asked of systems: the capabilities of whatever has states (DSP1057)."""

from __future__ import annotations

from xen_providers.allocation import EXISTING
from xen_providers.conversions import xen_id
from xen_providers.mapping.declaration import MappedClass, association, boolean, key, string, uint16s
from xen_providers.mapping.expressions import Expression, constant


def enabled_element_capabilities(element: MappedClass, caption: str, states: Expression) -> MappedClass:
    """Declare the capabilities of each instance of a class: the states that can be asked for, at one time or another.

    Which can be asked for now is told by the element itself (AvailableRequestedStates).
    """
    return MappedClass(
        f"{element.name}Capabilities",
        "CIM_EnabledLogicalElementCapabilities",
        source=element.source,
        where=element.where,
        properties={
            "InstanceID": key(string("uuid", xen_id)),
            "Caption": string(constant(caption)),
            "ElementName": string("name_label"),
            "ElementNameEditSupported": boolean(constant(False)),
            "RequestedStatesSupported": uint16s(states),
        },
    )


def has_capabilities(name: str, element: MappedClass, capabilities: MappedClass) -> MappedClass:
    """Declare that elements have the capabilities that come from the same record."""
    return association(
        name,
        "Xen_ElementCapabilities",
        source=element.source,
        ends={"ManagedElement": (element, ""), "Capabilities": (capabilities, "")},
        properties=EXISTING,
    )
