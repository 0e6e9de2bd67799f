"""Faults for a CIM server to have, each with what `xen-cim validate` has to say of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lxml import etree
from lxml.builder import E

from faulty_server import Asked, Fault

NAMES, INSTANCES, GET = "EnumerateInstanceNames", "EnumerateInstances", "GetInstance"
REFERENCES, ASSOCIATORS, CLASSES = "ReferenceNames", "AssociatorNames", "EnumerateClasses"
NOT_FOUND, FAILED = "6", "1"


@dataclass(frozen=True)
class Seed:
    """A fault, the rule that it breaks, and how the subject of the finding begins."""

    name: str
    rule: str
    subject: str
    fault: Fault


# Properties of instances, wherever they are shown


def _in_instances(class_name: str, change: Callable[[etree._Element], None], *operations: str) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if not operations or asked.operation in operations:
            for instance in list(response.iter("INSTANCE")):
                if instance.get("CLASSNAME") == class_name:
                    change(instance)

    return fault


def _property(instance: etree._Element, name: str) -> etree._Element | None:
    return next((each for each in instance if each.get("NAME") == name), None)


def put(
    class_name: str, name: str, type_: str, *values: str, array: bool = False, by: str | None = None, **more: str
) -> Fault:
    """Give a property another value, or type, or shape, in all answers or those of one operation; no value is NULL."""

    def change(instance: etree._Element) -> None:
        if (old := _property(instance, name)) is not None:
            instance.remove(old)
        content = [E("VALUE", each) for each in values]
        if array:
            instance.append(E("PROPERTY.ARRAY", E("VALUE.ARRAY", *content), NAME=name, TYPE=type_))
        else:
            instance.append(E("PROPERTY", *content, NAME=name, TYPE=type_, **more))

    return _in_instances(class_name, change, *([by] if by is not None else []))


def without(class_name: str, name: str) -> Fault:
    """Leave a property out."""

    def change(instance: etree._Element) -> None:
        if (old := _property(instance, name)) is not None:
            instance.remove(old)

    return _in_instances(class_name, change)


def other_text(class_name: str, name: str, *operations: str) -> Fault:
    """Write something behind the value of a property."""

    def change(instance: etree._Element) -> None:
        found = _property(instance, name)
        if found is not None:
            for value in found.iter("VALUE"):
                value.text = f"{value.text} once more"

    return _in_instances(class_name, change, *operations)


def end(class_name: str, role: str, change_name: Callable[[etree._Element], None]) -> Fault:
    """Let a reference lead elsewhere."""

    def change(instance: etree._Element) -> None:
        found = _property(instance, role)
        assert found is not None
        for name in found.iter("INSTANCENAME"):
            change_name(name)

    return _in_instances(class_name, change)


def _to_nowhere(name: etree._Element) -> None:
    for value in name.iter("KEYVALUE"):
        value.text = "nowhere"


def swapped(class_name: str, one: str, other: str) -> Fault:
    """Let two roles change their places."""

    def change(instance: etree._Element) -> None:
        for each in instance:
            each.set("NAME", {one: other, other: one}.get(each.get("NAME"), each.get("NAME")))

    return _in_instances(class_name, change)


# Names


def _in_names(class_name: str, change: Callable[[etree._Element], None], *operations: str) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation in operations:
            for name in list(response.iter("INSTANCENAME")):
                if name.get("CLASSNAME") == class_name and name.getparent().tag != "VALUE.REFERENCE":
                    change(name)

    return fault


def key_lost(class_name: str, key: str) -> Fault:
    """Leave a key out of the names."""

    def change(name: etree._Element) -> None:
        for each in name.xpath(f"KEYBINDING[@NAME='{key}']"):
            name.remove(each)

    return _in_names(class_name, change, NAMES, INSTANCES)


def key_added(class_name: str) -> Fault:
    """Put a key into the names that the class has not."""

    def change(name: etree._Element) -> None:
        name.append(E("KEYBINDING", E("KEYVALUE", "red", VALUETYPE="string"), NAME="Colour"))

    return _in_names(class_name, change, NAMES, INSTANCES)


# Enumerations


def _in_enumeration(operation: str, class_name: str, change: Callable[[etree._Element], None]) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == operation and asked.parameter("ClassName") == class_name:
            for answer in response.iter("IRETURNVALUE"):
                change(answer)

    return fault


def first_lost(operation: str, class_name: str, of: str | None = None) -> Fault:
    """Leave one out: the first, or the first of a class."""

    def change(answer: etree._Element) -> None:
        for each in answer:
            name = each if each.tag == "INSTANCENAME" else each.find("INSTANCENAME")
            if of is None or (name is not None and name.get("CLASSNAME") == of):
                answer.remove(each)
                return

    return _in_enumeration(operation, class_name, change)


def first_twice(operation: str, class_name: str) -> Fault:
    """Give the first one twice."""
    return _in_enumeration(operation, class_name, lambda answer: answer.append(copy.deepcopy(answer[0])))


def stranger(operation: str, class_name: str, name: etree._Element) -> Fault:
    """Give the name of something that is no instance of the class."""
    return _in_enumeration(operation, class_name, lambda answer: answer.append(copy.deepcopy(name)))


def none_of(*class_names: str) -> Fault:
    """Have no instances of classes in any enumeration."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation in (NAMES, INSTANCES):
            for answer in response.iter("IRETURNVALUE"):
                for each in list(answer):
                    name = each if each.tag == "INSTANCENAME" else each.find("INSTANCENAME")
                    if name is not None and name.get("CLASSNAME") in class_names:
                        answer.remove(each)

    return fault


def unreadable(class_name: str, name: str) -> Fault:
    """Write a word where a number should be."""

    def change(answer: etree._Element) -> None:
        for each in answer.xpath(f".//PROPERTY[@NAME='{name}']/VALUE"):
            each.text = "many"

    return _in_enumeration(INSTANCES, class_name, change)


def refused(operation: str, class_name: str) -> Fault:
    """Answer an enumeration with an error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == operation and asked.parameter("ClassName") == class_name:
            _replace(response, E("ERROR", CODE=FAILED, DESCRIPTION="no time"))

    return fault


def _replace(response: etree._Element, answer: etree._Element) -> None:
    for each in list(response):
        response.remove(each)
    response.append(answer)


# GetInstance


def get_fails(class_name: str, code: str) -> Fault:
    """Answer each GetInstance of a class with an error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == GET and _asked_about(asked) == class_name:
            _replace(response, E("ERROR", CODE=code, DESCRIPTION="no such thing"))

    return fault


def get_of_wrong_names(class_name: str, answer: etree._Element) -> Fault:
    """Answer the GetInstance of names that do not exist with an instance, or with another error."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == GET and _asked_about(asked) == class_name and response.find("ERROR") is not None:
            _replace(response, copy.deepcopy(answer))

    return fault


def _asked_about(asked: Asked) -> str:
    found = asked.call.xpath("IPARAMVALUE/INSTANCENAME/@CLASSNAME")
    return str(found[0]) if found else ""


# Associations


def not_led_to(operation: str, end_class: str, far_class: str = "", **filters: str) -> Fault:
    """From instances of a class, leave out what is of another, if asked with certain filters alone."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if not _asked(asked, operation, end_class, filters):
            return
        for each in list(response.iter("OBJECTPATH", "VALUE.OBJECTWITHPATH")):
            (name,) = each.xpath("(.//INSTANCENAME)[1]")
            if not far_class or name.get("CLASSNAME") == far_class:
                each.getparent().remove(each)

    return fault


def led_to_as_well(operation: str, end_class: str, name: etree._Element, **filters: str) -> Fault:
    """From instances of a class, lead to something that is not associated."""

    def fault(asked: Asked, response: etree._Element) -> None:
        if _asked(asked, operation, end_class, filters):
            space = [E("NAMESPACE", NAME=each) for each in asked.namespace.split("/")]
            path = E("INSTANCEPATH", E("NAMESPACEPATH", E("HOST", "here"), E("LOCALNAMESPACEPATH", *space)))
            path.append(copy.deepcopy(name))
            answer = response.find("IRETURNVALUE")
            if answer is None:
                answer = etree.SubElement(response, "IRETURNVALUE")
            answer.append(E("OBJECTPATH", path))

    return fault


def _asked(asked: Asked, operation: str, end_class: str, filters: dict[str, str]) -> bool:
    found = asked.call.xpath("IPARAMVALUE[@NAME='ObjectName']/INSTANCENAME/@CLASSNAME")
    return (
        asked.operation == operation
        and found == [end_class]
        and all(asked.parameter(name) == value for name, value in filters.items())
    )


# Classes


def _in_class(class_name: str, change: Callable[[etree._Element], None]) -> Fault:
    def fault(asked: Asked, response: etree._Element) -> None:
        if asked.operation == CLASSES:
            for cls in response.iter("CLASS"):
                if cls.get("NAME") == class_name:
                    change(cls)

    return fault


def abstract(class_name: str) -> Fault:
    """Make a class abstract."""
    qualifier = E("QUALIFIER", E("VALUE", "TRUE"), NAME="Abstract", TYPE="boolean")
    return _in_class(class_name, lambda cls: cls.insert(0, copy.deepcopy(qualifier)))


def _each(cls: etree._Element, path: str) -> Iterator[etree._Element]:
    yield from cls.xpath(path)


def orphan(class_name: str) -> Fault:
    """Put a class under one that is not there."""
    return _in_class(class_name, lambda cls: cls.set("SUPERCLASS", "CIM_Gone"))


def keyless(class_name: str) -> Fault:
    """Take the keys from a class."""

    def change(cls: etree._Element) -> None:
        for each in _each(cls, ".//QUALIFIER[@NAME='Key']"):
            each.getparent().remove(each)

    return _in_class(class_name, change)


def declared(class_name: str, property_name: str, **attributes: str) -> Fault:
    """Declare a property otherwise."""

    def change(cls: etree._Element) -> None:
        for each in _each(cls, f"*[@NAME='{property_name}']"):
            each.attrib.update(attributes)

    return _in_class(class_name, change)


def _key(name: str, value: str) -> etree._Element:
    return E("KEYBINDING", E("KEYVALUE", value, VALUETYPE="string"), NAME=name)


HOST_OF_ANOTHER = E(
    "INSTANCENAME",
    _key("CreationClassName", "Xen_HostComputerSystem"),
    _key("Name", "another"),
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


def only_in(namespace: str, fault: Fault) -> Fault:
    """Have a fault in one namespace alone."""

    def there(asked: Asked, response: etree._Element) -> None:
        if asked.namespace == namespace:
            fault(asked, response)

    return there


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
        end("Xen_HostedMemory", "Antecedent", _to_nowhere),
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
