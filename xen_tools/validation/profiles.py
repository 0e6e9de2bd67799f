"""Are profiles registered as DSP1033 wants it, and are the mandatory elements of those known here there?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import pywbem

from xen_tools.validation.names import Identity, identity
from xen_tools.validation.references import ends_of
from xen_tools.validation.server import Namespace, Server

CENTRAL = ""
"""Stands for the class of whatever conforms to a profile."""
ENABLED = 2


@dataclass(frozen=True)
class Link:
    """An association that each element takes part in, by a role of its own."""

    association: str
    role: str
    other: str


@dataclass(frozen=True)
class Element:
    """A class of which a profile wants at least one instance, and what each of them has.

    ``running`` restricts that to elements that are enabled.
    """

    cls: str
    filled: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    running: bool = False


@dataclass(frozen=True)
class Profile:
    """A profile by the beginning of the name that it is registered under, and its mandatory elements."""

    document: str
    name: str
    elements: tuple[Element, ...]
    refers_to: tuple[str, ...] = ()


MANDATORY = (
    Profile(
        "DSP1041",
        "Resource Allocation",
        (
            Element(
                "CIM_ResourcePool",
                ("InstanceID", "PoolID", "Primordial", "ResourceType", "Capacity", "Reserved"),
                (Link("CIM_HostedResourcePool", "PartComponent", "CIM_System"),),
            ),
            Element("CIM_ResourceAllocationSettingData", ("InstanceID", "ResourceType")),
            Element("CIM_ResourceAllocationFromPool"),
        ),
    ),
    Profile(
        "DSP1042",
        "System Virtualization",
        (
            Element(
                CENTRAL,
                ("CreationClassName", "Name", "EnabledState", "RequestedState"),
                (Link("CIM_ElementCapabilities", "ManagedElement", "CIM_VirtualSystemManagementCapabilities"),),
            ),
            Element(
                "CIM_VirtualSystemManagementCapabilities",
                ("InstanceID", "ElementName"),
            ),
            Element(
                "CIM_VirtualSystemManagementService",
                ("SystemCreationClassName", "SystemName", "CreationClassName", "Name"),
                (
                    Link("CIM_HostedService", "Dependent", "CIM_System"),
                    Link("CIM_ElementCapabilities", "ManagedElement", "CIM_VirtualSystemManagementCapabilities"),
                    Link("CIM_ServiceAffectsElement", "AffectingElement", "CIM_ManagedElement"),
                ),
            ),
        ),
        refers_to=("Virtual System", "Resource Allocation", "Allocation Capabilities"),
    ),
    Profile(
        "DSP1043",
        "Allocation Capabilities",
        (
            Element(
                "CIM_AllocationCapabilities",
                (
                    "InstanceID",
                    "ResourceType",
                    "RequestTypesSupported",
                    "SharingMode",
                    "SupportedAddStates",
                    "SupportedRemoveStates",
                ),
                (Link("CIM_ElementCapabilities", "Capabilities", "CIM_ManagedElement"),),
            ),
        ),
    ),
    Profile(
        "DSP1054",
        "Indications",
        (
            Element(
                "CIM_IndicationService",
                ("SystemCreationClassName", "SystemName", "CreationClassName", "Name"),
                (
                    Link("CIM_HostedService", "Dependent", "CIM_System"),
                    Link("CIM_ElementCapabilities", "ManagedElement", "CIM_IndicationServiceCapabilities"),
                ),
            ),
            Element("CIM_IndicationServiceCapabilities", ("InstanceID",)),
        ),
    ),
    Profile(
        "DSP1057",
        "Virtual System",
        (
            Element(
                CENTRAL,
                ("CreationClassName", "Name", "NameFormat", "ElementName", "EnabledState", "RequestedState"),
                (
                    Link("CIM_SettingsDefineState", "ManagedElement", "CIM_VirtualSystemSettingData"),
                    Link("CIM_ElementSettingData", "ManagedElement", "CIM_VirtualSystemSettingData"),
                ),
            ),
            Element(CENTRAL, links=(Link("CIM_HostedDependency", "Dependent", "CIM_System"),), running=True),
            Element("CIM_VirtualSystemSettingData", ("InstanceID", "ElementName", "VirtualSystemIdentifier")),
        ),
    ),
)
"""What the documents have as mandatory, as far as it can be seen from outside without changing anything."""

REGISTERED = ("InstanceID", "RegisteredOrganization", "RegisteredName", "RegisteredVersion", "AdvertiseTypes")
TOLD_APART = ("RegisteredOrganization", "RegisteredName", "RegisteredVersion")


def check(server: Server, interop: str | None) -> None:
    """Look at the registered profiles of the Interop namespace, and at what conforms to them, wherever that is."""
    if interop is None:
        server.findings.add("profile.interop", "", server.connection.host, "There is no Interop namespace.")
        return
    namespace = server.namespaces.get(interop.lower())
    if namespace is None:
        return
    profiles = _instances(namespace, "CIM_RegisteredProfile")
    if not profiles:
        namespace.report("profile.interop", "CIM_RegisteredProfile", "No profile is registered.")
    seen: dict[tuple[object, ...], pywbem.CIMInstanceName] = {}
    for each in profiles:
        for name in REGISTERED:
            if each.get(name) is None:
                namespace.report("profile.interop", each.path, f"{name} is NULL.")
        what = tuple(each.get(name) for name in TOLD_APART)
        if seen.setdefault(what, each.path) is not each.path:
            namespace.report("profile.unique", each.path, f"{seen[what]['InstanceID']} is the same profile.")
    registry = _Registry(namespace, profiles)
    registry.check_conformance()
    for profile in profiles:
        name = str(profile.get("RegisteredName"))
        fitting = [each for each in MANDATORY if _is_named(name, each.name)]
        for known in fitting:
            registry.check_references(profile, known)
            registry.check_elements(profile, known)


def _is_named(registered: str, name: str) -> bool:
    """Whether a profile is registered under a name, with or without the word profile behind it."""
    return registered.lower().removesuffix(" profile") == name.lower()


def _instances(namespace: Namespace, name: str) -> list[pywbem.CIMInstance]:
    below = namespace.subclasses(name.lower())
    return [each for sub in sorted(below) for each in namespace.instances.get(sub, ())]


class _Registry:
    """The profiles of the Interop namespace, what they refer to and what conforms to them."""

    def __init__(self, namespace: Namespace, profiles: Iterable[pywbem.CIMInstance]) -> None:
        self._namespace = namespace
        self._server = namespace.server
        self._profiles = {identity(each.path, namespace.name): each for each in profiles}
        self._referred: dict[Identity, set[Identity]] = defaultdict(set)
        for each in _instances(namespace, "CIM_ReferencedProfile"):
            ends = ends_of(namespace, each)
            if {"Antecedent", "Dependent"} <= ends.keys():
                one, other = (identity(ends[role], namespace.name) for role in ("Dependent", "Antecedent"))
                self._referred[one].add(other)
        self._conforming = {name: self._conforming_to(each.path) for name, each in self._profiles.items()}

    def _conforming_to(self, profile: pywbem.CIMInstanceName) -> list[pywbem.CIMInstanceName]:
        found = self._server.ask(
            profile.get("InstanceID", profile.classname),
            self._server.connection.AssociatorNames,
            profile,
            AssocClass="CIM_ElementConformsToProfile",
            Role="ConformantStandard",
            ResultRole="ManagedElement",
        )
        return list(found or [])

    def check_conformance(self) -> None:
        """Look at what profiles lead to, and whether that leads back."""
        for name, profile in self._profiles.items():
            elements = self._conforming[name]
            if not elements and not self._is_part_of_one_in_use(name):
                self._namespace.report("profile.conforms", profile.path, "Nothing conforms to it, nor uses it.")
            for element in elements:
                if self._server.exists(identity(element, self._namespace.name)) is False:
                    self._namespace.report("profile.conforms", profile.path, f"There is no {element}.")
                elif not self._leads_back(element, profile):
                    self._namespace.report("profile.direction", profile.path, f"{element} does not lead back to it.")

    def _is_part_of_one_in_use(self, name: Identity) -> bool:
        users, seen = [name], {name}
        while users:
            used = users.pop()
            for other, referred in self._referred.items():
                if used in referred and other not in seen:
                    if self._conforming.get(other):
                        return True
                    seen.add(other)
                    users.append(other)
        return False

    def _leads_back(self, element: pywbem.CIMInstanceName, profile: pywbem.CIMInstance) -> bool:
        found = self._server.ask(
            str(element),
            self._server.connection.Associators,
            element,
            AssocClass="CIM_ElementConformsToProfile",
            Role="ManagedElement",
            ResultRole="ConformantStandard",
        )
        what = [profile.get(name) for name in TOLD_APART]
        return found is None or any([each.get(name) for name in TOLD_APART] == what for each in found)

    def check_references(self, profile: pywbem.CIMInstance, known: Profile) -> None:
        """Look whether a profile refers to those that it has to refer to."""
        referred = [self._profiles[each] for each in self._referred[self._id(profile)] if each in self._profiles]
        names = [str(each.get("RegisteredName")) for each in referred]
        for name in known.refers_to:
            if not any(_is_named(each, name) for each in names):
                text = f"{known.document} refers to {name}: it is to be the Dependent of a CIM_ReferencedProfile."
                self._namespace.report("profile.reference", profile.path, text)

    def check_elements(self, profile: pywbem.CIMInstance, known: Profile) -> None:
        """Look whether a profile's mandatory elements are there, where what conforms to it is."""
        central = [identity(each, self._namespace.name) for each in self._conforming[self._id(profile)]]
        places = {each[0] for each in central} or {name[0] for name in self._places_of_users(self._id(profile))}
        for place in sorted(places):
            namespace = self._server.namespaces.get(place)
            if namespace is None:
                continue
            for element in known.elements:
                if element.cls == CENTRAL:
                    found = [namespace.by_name[each] for each in central if each in namespace.by_name]
                else:
                    found = _instances(namespace, element.cls)
                if element.running:
                    found = [each for each in found if each.get("EnabledState") == ENABLED]
                elif not found:
                    what = element.cls or "a central instance"
                    self._namespace.report("profile.element", profile.path, f"{known.document} has {what} in {place}.")
                self._check_each(namespace, known, element, found)

    def _places_of_users(self, name: Identity) -> Iterable[Identity]:
        """Return what conforms to the profiles that refer to one to which nothing conforms itself."""
        for other, referred in self._referred.items():
            if name in referred:
                yield from (identity(each, self._namespace.name) for each in self._conforming.get(other, ()))

    def _check_each(
        self, namespace: Namespace, known: Profile, element: Element, found: list[pywbem.CIMInstance]
    ) -> None:
        for each in found:
            for name in element.filled:
                if each.get(name) is None:
                    namespace.report("profile.property", each.path, f"{known.document} has {name}, which is NULL.")
        for link in element.links:
            linked = _linked(namespace, link)
            for each in found:
                if identity(each.path, namespace.name) not in linked:
                    text = f"{known.document} has a {link.association} to a {link.other}, itself the {link.role}."
                    namespace.report("profile.link", each.path, text)

    def _id(self, profile: pywbem.CIMInstance) -> Identity:
        return identity(profile.path, self._namespace.name)


def _linked(namespace: Namespace, link: Link) -> set[Identity]:
    """Return what has an association to an instance of a class."""
    found = set()
    for each in _instances(namespace, link.association):
        ends = ends_of(namespace, each)
        others = [end for role, end in ends.items() if role != link.role]
        if link.role in ends and any(namespace.is_a(other.classname, link.other) for other in others):
            found.add(identity(ends[link.role], namespace.name))
    return found
