"""Faults for a CIM server to have, each with what `xen-cim validate` has to say of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from lxml.builder import E

from answer_faults import (
    ASSOCIATORS,
    FAILED,
    GET,
    INSTANCES,
    NAMES,
    NOT_FOUND,
    REFERENCES,
    abstract,
    declared,
    end,
    first_lost,
    first_twice,
    get_fails,
    get_of_wrong_names,
    key,
    key_added,
    key_lost,
    keyless,
    led_to_as_well,
    none_of,
    not_led_to,
    only_in,
    orphan,
    other_text,
    put,
    refused,
    stranger,
    swapped,
    to_nowhere,
    unreadable,
    without,
)
from faulty_server import Fault


@dataclass(frozen=True)
class Seed:
    """A fault, the rule that it breaks, and how the subject of the finding begins."""

    name: str
    rule: str
    subject: str
    fault: Fault


HOST_OF_ANOTHER = E(
    "INSTANCENAME",
    key("CreationClassName", "Xen_HostComputerSystem"),
    key("Name", "another"),
    CLASSNAME="Xen_HostComputerSystem",
)
ANOTHER_LINK = E(
    "INSTANCENAME",
    E("KEYBINDING", E("VALUE.REFERENCE", copy.deepcopy(HOST_OF_ANOTHER)), NAME="Antecedent"),
    E("KEYBINDING", E("VALUE.REFERENCE", copy.deepcopy(HOST_OF_ANOTHER)), NAME="Dependent"),
    CLASSNAME="Xen_HostedComputerSystem",
)
SYSTEM_SETTINGS = '<INSTANCE CLASSNAME="CIM_ComputerSystem"></INSTANCE>'
INTEROP_ONLY = "root/interop"


SEEDS: Sequence[Seed] = (
    # what instances hold
    Seed(
        "a property that no class declares",
        "mof.undeclared",
        "Xen_HostMemory",
        put("Xen_HostMemory", "Colour", "string", "red"),
    ),
    Seed(
        "a number of another size", "mof.type", "Xen_MemoryPool", put("Xen_MemoryPool", "ResourceType", "uint32", "4")
    ),
    Seed(
        "a word for a number",
        "mof.type",
        "Xen_StorageAllocationCapabilities",
        put("Xen_StorageAllocationCapabilities", "ResourceType", "string", "19"),
    ),
    Seed(
        "an array for one value",
        "mof.array",
        "Xen_ProcessorPool",
        put("Xen_ProcessorPool", "PoolID", "string", "one", "two", array=True),
    ),
    Seed(
        "one value for an array",
        "mof.array",
        "Xen_HostComputerSystem",
        put("Xen_HostComputerSystem", "Dedicated", "uint16", "1"),
    ),
    Seed(
        "a key that is NULL",
        "mof.key",
        "Xen_StorageCapabilitiesSettingData",
        put("Xen_StorageCapabilitiesSettingData", "InstanceID", "string"),
    ),
    Seed(
        "a key that is left out",
        "mof.key",
        "Xen_ComputerSystemTemplate",
        without("Xen_ComputerSystemTemplate", "InstanceID"),
    ),
    Seed(
        "a required property that is NULL",
        "mof.required",
        "Xen_VirtualSystemMigrationCapabilities",
        put("Xen_VirtualSystemMigrationCapabilities", "ElementName", "string"),
    ),
    Seed(
        "a required property that is left out",
        "mof.required",
        "Xen_RegisteredMemoryAllocationProfile",
        without("Xen_RegisteredMemoryAllocationProfile", "RegisteredVersion"),
    ),
    Seed(
        "a number that has no meaning",
        "mof.value",
        "Xen_VirtualSystemMigrationSettingData",
        put("Xen_VirtualSystemMigrationSettingData", "MigrationType", "uint16", "77"),
    ),
    Seed(
        "a word that has no meaning",
        "mof.value",
        "Xen_StoragePool",
        put("Xen_StoragePool", "Status", "string", "Happy"),
    ),
    Seed(
        "a number without a meaning among others",
        "mof.value",
        "Xen_ComputerSystemCapabilities",
        put("Xen_ComputerSystemCapabilities", "RequestedStatesSupported", "uint16", "2", "77", array=True),
    ),
    Seed(
        "a text that is too long", "mof.length", "Xen_HostMemory", put("Xen_HostMemory", "Caption", "string", "x" * 65)
    ),
    Seed("a number that is too big", "mof.range", "Xen_Memory", put("Xen_Memory", "DeltaReservation", "uint8", "101")),
    Seed(
        "a number that is too small",
        "mof.range",
        "Xen_HostMemory",
        put("Xen_HostMemory", "DeltaReservation", "uint8", "0"),
    ),
    Seed(
        "an embedded instance of the wrong kind",
        "mof.embedded",
        "Xen_HostProcessor",
        put("Xen_HostProcessor", "AllocationState", "string", SYSTEM_SETTINGS, EmbeddedObject="instance"),
    ),
    Seed(
        "a number that is none",
        "answer",
        "Xen_MemorySettingData",
        unreadable("Xen_MemorySettingData", "VirtualQuantity"),
    ),
    Seed(
        "an enumeration that fails",
        "answer",
        "Xen_VirtualSystemSnapshotService",
        refused(INSTANCES, "Xen_VirtualSystemSnapshotService"),
    ),
    # what classes declare
    Seed(
        "an instance of an abstract class",
        "mof.class",
        "Xen_MemoryAllocationCapabilities",
        abstract("Xen_MemoryAllocationCapabilities"),
    ),
    Seed(
        "a reference to no class",
        "class.reference",
        "Xen_MemorySettingDataComponent",
        declared("Xen_MemorySettingDataComponent", "PartComponent", REFERENCECLASS="CIM_Gone"),
    ),
    Seed(
        "a property with another type than above",
        "class.override",
        "Xen_MetricService",
        declared("Xen_MetricService", "Caption", TYPE="uint32"),
    ),
    Seed(
        "a class without a key",
        "class.key",
        "Xen_VirtualizationCapabilities",
        keyless("Xen_VirtualizationCapabilities"),
    ),
    Seed(
        "a class under none",
        "class.superclass",
        "Xen_VirtualSystemMigrationCapabilities",
        orphan("Xen_VirtualSystemMigrationCapabilities"),
    ),
    # names
    Seed("a property that is not the key", "key.property", "Xen_DiskDrive", other_text("Xen_DiskDrive", "DeviceID")),
    Seed(
        "a name without one of the keys", "key.path", "Xen_MetricService", key_lost("Xen_MetricService", "SystemName")
    ),
    Seed(
        "a name with a key too many",
        "key.path",
        "Xen_VirtualSystemSnapshotCapabilities",
        key_added("Xen_VirtualSystemSnapshotCapabilities"),
    ),
    Seed(
        "an instance that is there twice",
        "key.duplicate",
        "Xen_ProcessorSettingData",
        first_twice(INSTANCES, "Xen_ProcessorSettingData"),
    ),
    Seed(
        "an instance among instances alone",
        "key.names",
        "Xen_ComputerSystemSettingData",
        first_lost(NAMES, "Xen_ComputerSystemSettingData"),
    ),
    Seed("an instance among names alone", "key.names", "Xen_Processor", first_lost(INSTANCES, "Xen_Processor")),
    Seed(
        "a name that is not found",
        "key.get",
        "Xen_ProcessorAllocationCapabilities",
        get_fails("Xen_ProcessorAllocationCapabilities", NOT_FOUND),
    ),
    Seed(
        "a name that cannot be asked for",
        "key.get",
        "Xen_MemoryCapabilitiesSettingData",
        get_fails("Xen_MemoryCapabilitiesSettingData", FAILED),
    ),
    Seed(
        "another value when asked by name",
        "key.same",
        "Xen_HostComputerSystem",
        other_text("Xen_HostComputerSystem", "ElementName", GET),
    ),
    Seed(
        "an instance for a wrong name",
        "key.wrong",
        "Xen_HostMemory",
        get_of_wrong_names("Xen_HostMemory", E("IRETURNVALUE", E("INSTANCE", CLASSNAME="Xen_HostMemory"))),
    ),
    Seed(
        "a failure for a wrong name",
        "key.wrong",
        "Xen_ProcessorPool",
        get_of_wrong_names("Xen_ProcessorPool", E("ERROR", CODE=FAILED)),
    ),
    # superclasses
    Seed(
        "a superclass without a subclass's instance",
        "inheritance.missing",
        "CIM_ComputerSystem",
        first_lost(NAMES, "CIM_ComputerSystem", "Xen_HostComputerSystem"),
    ),
    Seed(
        "a class with another's instance",
        "inheritance.foreign",
        "CIM_Service",
        stranger(NAMES, "CIM_Service", HOST_OF_ANOTHER),
    ),
    # associations
    Seed(
        "a reference to nothing",
        "reference.dangling",
        "Xen_HostedMemory",
        end("Xen_HostedMemory", "Antecedent", to_nowhere),
    ),
    Seed(
        "a reference to another kind",
        "reference.class",
        "Xen_HostedDisk",
        end("Xen_HostedDisk", "Antecedent", lambda name: name.set("CLASSNAME", "Xen_Disk")),
    ),
    Seed(
        "an association not found from an end",
        "reference.missing",
        "Xen_ComputerSystem",
        not_led_to(REFERENCES, "Xen_ComputerSystem", "Xen_ComputerSystemMemory"),
    ),
    Seed(
        "an association not found by role",
        "reference.missing",
        "Xen_Disk",
        not_led_to(REFERENCES, "Xen_Disk", Role="PartComponent"),
    ),
    Seed(
        "an association found by the wrong role",
        "reference.extra",
        "Xen_ComputerSystem",
        led_to_as_well(REFERENCES, "Xen_ComputerSystem", ANOTHER_LINK, Role="Antecedent"),
    ),
    Seed(
        "another end that is not found",
        "associator.missing",
        "Xen_ComputerSystemSettingData",
        not_led_to(ASSOCIATORS, "Xen_ComputerSystemSettingData", "Xen_ComputerSystem"),
    ),
    Seed(
        "another end that is none",
        "associator.extra",
        "Xen_MemoryPool",
        led_to_as_well(ASSOCIATORS, "Xen_MemoryPool", HOST_OF_ANOTHER),
    ),
    Seed(
        "other contents by association",
        "associator.other",
        "Xen_MemoryPool",
        other_text("Xen_MemoryPool", "Caption", "Associators"),
    ),
    Seed(
        "other contents of an association",
        "reference.other",
        "Xen_ComputerSystemElementSettingData",
        put("Xen_ComputerSystemElementSettingData", "IsNext", "uint16", "2", by="References"),
    ),
    Seed("a device of no system", "reference.least", "Xen_Console", none_of("Xen_ComputerSystemConsole")),
    # profiles
    Seed(
        "a profile that is not advertised",
        "profile.interop",
        "Xen_RegisteredStorageVirtualizationProfile",
        only_in(INTEROP_ONLY, put("Xen_RegisteredStorageVirtualizationProfile", "AdvertiseTypes", "uint16")),
    ),
    Seed(
        "a profile that is there twice",
        "profile.unique",
        "Xen_RegisteredJobControlProfile",
        put("Xen_RegisteredBaseMetricsProfile", "RegisteredName", "string", "Job Control"),
    ),
    Seed(
        "a profile without conforming elements",
        "profile.conforms",
        'CIM_RegisteredProfile.InstanceID="xen-cim:DSP1054',
        only_in(INTEROP_ONLY, not_led_to(ASSOCIATORS, "CIM_RegisteredProfile", "CIM_IndicationService")),
    ),
    Seed(
        "a profile without one of its elements",
        "profile.element",
        "Xen_RegisteredResourceAllocationProfile",
        none_of(*(f"Xen_{each}SettingAllocationFromPool" for each in ("Disk", "Memory", "NetworkPort", "Processor"))),
    ),
    Seed(
        "an element that does not know its profile",
        "profile.direction",
        "Xen_RegisteredSystemVirtualizationProfile",
        not_led_to("Associators", "Xen_HostComputerSystem", AssocClass="CIM_ElementConformsToProfile"),
    ),
    Seed(
        "a reference of profiles the wrong way round",
        "profile.reference",
        "Xen_RegisteredSystemVirtualizationProfile",
        swapped("Xen_ReferencedVirtualSystemProfile", "Antecedent", "Dependent"),
    ),
    Seed(
        "a mandatory property that is NULL",
        "profile.property",
        "Xen_StoragePool",
        put("Xen_StoragePool", "Capacity", "uint64"),
    ),
    Seed(
        "capabilities that say nothing",
        "profile.property",
        "Xen_ProcessorAllocationCapabilities",
        without("Xen_ProcessorAllocationCapabilities", "RequestTypesSupported"),
    ),
    Seed("a pool on no host", "profile.link", "Xen_MemoryPool", none_of("Xen_HostedMemoryPool")),
    Seed(
        "a service on no host",
        "profile.link",
        "Xen_VirtualSystemManagementService",
        none_of("Xen_HostedVirtualSystemManagementService"),
    ),
)
