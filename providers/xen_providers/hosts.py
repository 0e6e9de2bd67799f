"""Physical hosts: Xen_HostComputerSystem (DSP1042)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from xen_providers.conversions import moment, pairs, words
from xen_providers.enabled_elements import enabled_element_capabilities, has_capabilities
from xen_providers.mapping.declaration import (
    MappedClass,
    MappedMethod,
    datetime_,
    key,
    string,
    strings,
    uint16,
    uint16s,
)
from xen_providers.mapping.expressions import computed, constant
from xen_providers.mapping.reading import last_change
from xen_providers.methods.state_changes import (
    ENABLE,
    HOST_STATES,
    MAINTAIN,
    REBOOT,
    REQUEST_STATE_CHANGE,
    SHUT_DOWN,
    request_host_state,
)

ENABLED, OFFLINE = 2, 6
OK, STOPPED = 2, 10
OTHER, HEALTHY, NO_CHANGE = 2, 5, 5

IDENTIFYING_DESCRIPTIONS = ["IPv4Address", "ProductBrand", "ProductVersion", "BuildNumber"]


def _identifying_info(address: str | None, software: Mapping[str, str] | None) -> list[str]:
    known = software or {}
    return [address or "", *(known.get(name, "") for name in ("product_brand", "product_version", "build_number"))]


def _boot_time(seconds: str) -> datetime | None:
    """Return the moment that the host keeps as seconds since 1970, e.g. ``1700000000.``."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


HOST_COMPUTER_SYSTEM = MappedClass(
    "Xen_HostComputerSystem",
    "CIM_ComputerSystem",
    source="host",
    properties={
        "CreationClassName": key(string(constant("Xen_HostComputerSystem"))),
        "Name": key(string("uuid")),
        "NameFormat": string(constant("Other")),
        "Caption": string(constant("Xen Host")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "Dedicated": uint16s(constant([OTHER])),
        "EnabledState": uint16("enabled", lambda enabled: ENABLED if enabled else OFFLINE),
        "EnabledDefault": uint16(constant(ENABLED)),
        "RequestedState": uint16(constant(NO_CHANGE)),
        "AvailableRequestedStates": uint16s(
            "enabled", lambda enabled: [MAINTAIN] if enabled else [ENABLE, SHUT_DOWN, REBOOT]
        ),
        "TimeOfLastStateChange": datetime_(last_change("enabled"), moment),
        "OperationalStatus": uint16s("enabled", lambda enabled: [OK if enabled else STOPPED]),
        "Status": string("enabled", lambda enabled: "OK" if enabled else "Stopped"),
        "HealthState": uint16(constant(HEALTHY)),
        "IdentifyingDescriptions": strings(constant(IDENTIFYING_DESCRIPTIONS)),
        "OtherIdentifyingInfo": strings(computed(_identifying_info, "address", "software_version")),
        "OtherConfig": strings("other_config", pairs),
        "StartTime": datetime_("other_config/boot_time", _boot_time),
        "CN": string("other_config/host_cn"),
        "PrimaryOwnerName": string("other_config/owner"),
        "PrimaryOwnerContact": string("other_config/owner_contact"),
        "Roles": strings("other_config/roles", words),
    },
    methods={"RequestStateChange": MappedMethod(REQUEST_STATE_CHANGE, request_host_state)},
)

HOST_COMPUTER_SYSTEM_CAPABILITIES = enabled_element_capabilities(
    HOST_COMPUTER_SYSTEM, "What can be asked of a Xen host", constant(list(HOST_STATES))
)
HOST_COMPUTER_SYSTEM_ELEMENT_CAPABILITIES = has_capabilities(
    "Xen_HostComputerSystemElementCapabilities", HOST_COMPUTER_SYSTEM, HOST_COMPUTER_SYSTEM_CAPABILITIES
)

CLASSES = (HOST_COMPUTER_SYSTEM, HOST_COMPUTER_SYSTEM_CAPABILITIES, HOST_COMPUTER_SYSTEM_ELEMENT_CAPABILITIES)
