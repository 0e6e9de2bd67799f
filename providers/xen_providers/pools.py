"""Pools of hosts: Xen_HostPool, and the hosts in it."""

from __future__ import annotations

from xen_providers.conversions import xen_id
from xen_providers.hosts import HOST_COMPUTER_SYSTEM
from xen_providers.mapping.declaration import MappedClass, association, boolean, key, string
from xen_providers.mapping.expressions import POOL, constant
from xen_providers.methods import pool_management

HOST_POOL = MappedClass(
    "Xen_HostPool",
    "CIM_SystemSpecificCollection",
    source="pool",
    properties={
        "InstanceID": key(string("uuid", xen_id)),
        "Caption": string(constant("Xen host pool")),
        "ElementName": string("name_label"),
        "Description": string("name_description"),
        "HighAvailabilityEnabled": boolean("ha_enabled"),
        "DefaultStoragePoolID": string("default_SR.uuid"),
        "Master": string("master.uuid"),
    },
    methods=pool_management.METHODS,
)

MEMBER_OF_HOST_POOL = association(
    "Xen_MemberOfHostPool",
    "Xen_MemberOfCollection",
    source="host",
    ends={"Collection": (HOST_POOL, POOL), "Member": (HOST_COMPUTER_SYSTEM, "")},
)

HOSTED_HOST_POOL = association(
    "Xen_HostedHostPool",
    "Xen_HostedCollection",
    source="pool",
    ends={"Antecedent": (HOST_COMPUTER_SYSTEM, "master"), "Dependent": (HOST_POOL, "")},
)

CLASSES = (HOST_POOL, MEMBER_OF_HOST_POOL, HOSTED_HOST_POOL)
