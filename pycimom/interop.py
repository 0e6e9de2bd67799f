"""The interop namespace: what the server is, can, and which namespaces it has, for clients to find (DSP1033)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cim_provider import (
    CimError,
    ClassDeclaration,
    Context,
    Instance,
    InstanceName,
    KeyValue,
    Provider,
    Status,
    Value,
)
from pycimom.profiles import PROFILE
from pycimom.repository import Repository
from pycimom.static import StaticView, declare

MANAGER = "CIM_ObjectManager"
NAMESPACE = "CIM_Namespace"
NAMESPACE_IN_MANAGER = "CIM_NamespaceInManager"
MECHANISM = "CIM_CIMXMLCommunicationMechanism"
MECHANISM_FOR_MANAGER = "CIM_CommMechanismForManager"

SYSTEM = "CIM_ComputerSystem"
HOSTED_SERVICE = "CIM_HostedService"
CONFORMS = "CIM_ElementConformsToProfile"
REFERENCED_PROFILE = "CIM_ReferencedProfile"

_CLASSES = (
    MANAGER,
    NAMESPACE,
    NAMESPACE_IN_MANAGER,
    MECHANISM,
    MECHANISM_FOR_MANAGER,
    SYSTEM,
    HOSTED_SERVICE,
    PROFILE,
    CONFORMS,
    REFERENCED_PROFILE,
)
_DMTF = 2
_NOT_TOLD = 5
_OTHER_CLASS_INFO = 1
_ENABLED = 2
_NOT_APPLICABLE = 12
_CIM_XML = 2
_BASIC = 3
_FUNCTIONS = (2, 3, 5, 6, 9, 10)
"""Basic read, basic write, instance manipulation, association traversal, indications, pulled read."""
_NOT_ADVERTISED = 2


@dataclass(frozen=True)
class ServerIdentity:
    """Who this server says it is. ``system_name`` is the key SystemName of all that belongs to it."""

    system_name: str
    version: str
    namespace: str = "root/interop"


class InteropProvider(Provider):
    """Serves the one CIM_ObjectManager with its system, its namespaces and its mechanism, and the server's profiles.

    Clients make and remove namespaces by creating and deleting CIM_Namespace instances.
    """

    def __init__(
        self, repository: Repository, identity: ServerIdentity, indication_service: InstanceName | None = None
    ) -> None:
        """``indication_service`` is the central instance of the Indications profile, if the server implements it."""
        self._declarations = {name: declare(repository.get(identity.namespace, name)) for name in _CLASSES}
        self._repository = repository
        self._identity = identity
        self._fixed = _instances(identity, indication_service)
        self._namespaces: Sequence[str] = ()
        self._view = StaticView.of(self._fixed)

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """The classes served."""
        return self._declarations

    def view(self) -> StaticView:
        """Return a view with the namespaces that there are now."""
        names = self._repository.namespaces()
        if names != self._namespaces:
            manager = self._fixed[0]
            namespaces = [_namespace(self._identity, name) for name in names]
            links = [_link(self._identity, NAMESPACE_IN_MANAGER, manager, each) for each in namespaces]
            self._view = StaticView.of([*self._fixed, *namespaces, *links])
            self._namespaces = names
        return self._view

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Make a namespace. The keys may be left out but for Name; the server knows them."""
        if instance.class_name.lower() != NAMESPACE.lower():
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {instance.class_name} cannot be created.")
        name = instance.get("Name")
        if not isinstance(name, str):
            raise CimError(Status.INVALID_PARAMETER, f"{NAMESPACE} needs a value for its key Name.")
        for key, value in _name(_namespace(self._identity, name)).keys:
            if instance.get(key) not in (None, value):
                raise CimError(Status.INVALID_PARAMETER, f"The key {key} of a namespace of this server is {value!r}.")
        made = await asyncio.to_thread(self._repository.create_namespace, name)
        return _name(_namespace(self._identity, made))

    async def delete_instance(self, context: Context, name: InstanceName) -> None:
        """Remove a namespace that is empty."""
        if name.class_name.lower() != NAMESPACE.lower():
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {name.class_name} cannot be deleted.")
        await asyncio.to_thread(self._repository.delete_namespace, str(name.get("Name")))


def _instances(identity: ServerIdentity, indication_service: InstanceName | None) -> list[Instance]:
    """Return what does not change while the server runs, the object manager first."""
    manager = _instance(
        identity,
        MANAGER,
        {**_hosted(identity, MANAGER), "Name": f"xen-cim:{identity.system_name}"},
        ElementName="pycimom",
        # pywbem takes the version from the end of the description.
        Description=f"Xen CIM server version {identity.version}",
        GatherStatisticalData=False,
        EnabledState=_ENABLED,
        RequestedState=_NOT_APPLICABLE,
        OperationalStatus=[2],
        Started=True,
    )
    mechanism = _instance(
        identity,
        MECHANISM,
        {**_hosted(identity, MECHANISM), "Name": f"xen-cim:{identity.system_name}:cim-xml"},
        ElementName="CIM-XML over HTTP",
        CommunicationMechanism=_CIM_XML,
        CIMXMLProtocolVersion=1,  # 1.0
        Version="1.0",
        FunctionalProfilesSupported=list(_FUNCTIONS),
        MultipleOperationsSupported=False,
        AuthenticationMechanismsSupported=[_BASIC],
        AdvertiseTypes=[_NOT_ADVERTISED],
        CIMValidated=False,
        PulledEnumerationContinuationOnErrorSupported=False,
        EnabledState=_ENABLED,
        RequestedState=_NOT_APPLICABLE,
    )
    system = _instance(
        identity,
        SYSTEM,
        {"CreationClassName": SYSTEM, "Name": identity.system_name},
        ElementName=identity.system_name,
        NameFormat="Other",
        Description="The system that this CIM server runs on",
        EnabledState=_NOT_TOLD,
        RequestedState=_NOT_APPLICABLE,
    )
    return [
        manager,
        mechanism,
        system,
        _link(identity, MECHANISM_FOR_MANAGER, manager, mechanism),
        _link(identity, HOSTED_SERVICE, system, manager),
        *_profiles(identity, system, indication_service),
    ]


def _profiles(identity: ServerIdentity, system: Instance, indication_service: InstanceName | None) -> list[Instance]:
    """Return the profiles that the server itself implements, their central instances, and which refers to which."""
    registration = _profile(identity, "DSP1033", "Profile Registration", "1.1.0")
    made = [registration, _conforms(identity, registration, _name(registration))]
    if indication_service is not None:
        indications = _profile(identity, "DSP1054", "Indications", "1.2.2")
        made += [
            indications,
            _conforms(identity, registration, _name(indications)),
            _conforms(identity, indications, indication_service),
            _link(identity, REFERENCED_PROFILE, registration, indications),  # Antecedent is the one referred to
            _instance(identity, HOSTED_SERVICE, {"Antecedent": _name(system), "Dependent": indication_service}),
        ]
    return made


def _profile(identity: ServerIdentity, document: str, name: str, version: str) -> Instance:
    return _instance(
        identity,
        PROFILE,
        {"InstanceID": f"xen-cim:{document}"},
        ElementName=name,
        RegisteredOrganization=_DMTF,
        RegisteredName=name,
        RegisteredVersion=version,
        AdvertiseTypes=[_NOT_ADVERTISED],
    )


def _conforms(identity: ServerIdentity, profile: Instance, element: InstanceName) -> Instance:
    return _instance(identity, CONFORMS, {"ConformantStandard": _name(profile), "ManagedElement": element})


def _link(identity: ServerIdentity, class_name: str, antecedent: Instance, dependent: Instance) -> Instance:
    return _instance(identity, class_name, {"Antecedent": _name(antecedent), "Dependent": _name(dependent)})


def _hosted(identity: ServerIdentity, class_name: str) -> dict[str, KeyValue]:
    return {
        "SystemCreationClassName": SYSTEM,
        "SystemName": identity.system_name,
        "CreationClassName": class_name,
    }


def _namespace(identity: ServerIdentity, name: str) -> Instance:
    return _instance(
        identity,
        NAMESPACE,
        {
            "SystemCreationClassName": SYSTEM,
            "SystemName": identity.system_name,
            "ObjectManagerCreationClassName": MANAGER,
            "ObjectManagerName": f"xen-cim:{identity.system_name}",
            "CreationClassName": NAMESPACE,
            "Name": name,
        },
        ElementName=name,
        ClassInfo=_OTHER_CLASS_INFO,
        DescriptionOfClassInfo="CIM 2.49.0",
        ClassType=2,
        ClassTypeVersion="2.49.0",
    )


def _instance(identity: ServerIdentity, class_name: str, keys: Mapping[str, KeyValue], **others: Value) -> Instance:
    name = InstanceName(class_name, tuple(keys.items()), identity.namespace)
    return Instance(class_name, {**keys, **others}, name)


def _name(instance: Instance) -> InstanceName:
    if instance.name is None:
        raise ValueError("every interop instance has a name")
    return instance.name
