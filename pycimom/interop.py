"""The interop namespace: what the server is, can, and which namespaces it has, for clients to find (DSP1033)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

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
from pycimom.profiles import PROFILE, ProfileMirror
from pycimom.repository import Repository
from pycimom.static import StaticView, declare
from pycimom.statistics import Statistics, Totals, properties

MANAGER = "CIM_ObjectManager"
NAMESPACE = "CIM_Namespace"
NAMESPACE_IN_MANAGER = "CIM_NamespaceInManager"
MECHANISM = "CIM_CIMXMLCommunicationMechanism"
MECHANISM_FOR_MANAGER = "CIM_CommMechanismForManager"

SYSTEM = "CIM_ComputerSystem"
HOSTED_SERVICE = "CIM_HostedService"
CONFORMS = "CIM_ElementConformsToProfile"
REFERENCED_PROFILE = "CIM_ReferencedProfile"
STATISTICS = "CIM_CIMOMStatisticalData"
STATISTICS_OF = "CIM_ElementStatisticalData"

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
    STATISTICS,
    STATISTICS_OF,
)
_DMTF = 2
_SNIA = 11
_NOT_TOLD = 5
_UNKNOWN = 0
_OTHER_CLASS_INFO = 1
_ENABLED = 2
_NOT_APPLICABLE = 12
_CIM_XML = 2
_BASIC = 3
_GATHER = "GatherStatisticalData"
_FUNCTIONS = tuple(range(2, 13))
"""All that DSP0200 knows, from basic read over schema manipulation to pulled queries."""
_NOT_ADVERTISED = 2


@dataclass(frozen=True)
class ServerIdentity:
    """Who this server says it is. ``system_name`` is the key SystemName of all that belongs to it."""

    system_name: str
    version: str
    namespace: str = "root/interop"


class InteropProvider(Provider):
    """Serves the one CIM_ObjectManager with its system, its namespaces and its mechanism, and the server's profiles.

    Administrators make and remove namespaces by creating and deleting CIM_Namespace instances, and switch the counting
    of operations by CIM_ObjectManager.GatherStatisticalData.
    """

    def __init__(
        self,
        repository: Repository,
        identity: ServerIdentity,
        indication_service: InstanceName | None = None,
        statistics: Statistics | None = None,
        mirrors: Sequence[ProfileMirror] = (),
    ) -> None:
        """``indication_service`` is the central instance of the Indications profile, if the server implements it.

        ``mirrors`` show the profiles of providers here.
        """
        self._declarations = {name: declare(repository.get(identity.namespace, name)) for name in _CLASSES}
        self._repository = repository
        self._identity = identity
        self._fixed = _instances(identity, indication_service)
        self._mirrors = mirrors
        self._shown: tuple[Sequence[str], Sequence[InstanceName]] = ((), ())
        """The namespaces and the providers' profiles that the view has."""
        self._statistics = statistics or Statistics()
        self._counted: Mapping[str, Totals] = {}
        self._view = StaticView.of(self._fixed)
        self._lock = Lock()

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """The classes served."""
        return self._declarations

    def view(self) -> StaticView:
        """Return a view with the namespaces and profiles that there are now, and what has been counted so far."""
        with self._lock:  # any thread may ask
            return self._renewed()

    def _renewed(self) -> StaticView:
        manager = self._fixed[0]
        names = self._repository.namespaces()
        profiles = [each for mirror in self._mirrors for each in mirror.profiles()]
        if (names, profiles) != self._shown:
            namespaces = [_namespace(self._identity, name) for name in names]
            links = [_link(self._identity, NAMESPACE_IN_MANAGER, manager, each) for each in namespaces]
            registered = [link for each in profiles for link in _registered(self._identity, each)]
            self._view = StaticView.of([*self._fixed, *namespaces, *links, *registered])
            self._shown = names, profiles
            self._counted = {}
        self._show_statistics(manager)
        return self._view

    def _show_statistics(self, manager: Instance) -> None:
        totals = dict(self._statistics.totals)
        gone = [
            _name(each)
            for operation, before in self._counted.items()
            if operation not in totals
            for each in _statistical_data(self._identity, manager, operation, before)
        ]
        put = [
            each
            for operation, now in totals.items()
            if self._counted.get(operation) != now
            for each in _statistical_data(self._identity, manager, operation, now)
        ]
        shown = self._view.instance(_name(manager))
        if shown is None or shown.get(_GATHER) != self._statistics.gathering:
            put.append(Instance(MANAGER, {**manager.properties, _GATHER: self._statistics.gathering}, manager.name))
        if put or gone:
            self._view = self._view.replaced(put, gone)
        self._counted = totals

    async def modify_instance(
        self, context: Context, name: InstanceName, changes: Mapping[str, Value], property_list: Collection[str] | None
    ) -> None:
        """Switch the counting of operations; nothing else can be changed."""
        current = self.view().instance(name)
        if current is None or name.class_name.lower() != MANAGER.lower():
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {name.class_name} cannot be modified.")
        for each, value in changes.items():
            if each != _GATHER and value != current.get(each):
                raise CimError(Status.NOT_SUPPORTED, f"The property {each} of {MANAGER} cannot be modified.")
        if _GATHER in changes:
            context.require_administrator()
            self._statistics.switch(bool(changes[_GATHER]))

    async def create_instance(self, context: Context, instance: Instance) -> InstanceName:
        """Make a namespace. The keys may be left out but for Name; the server knows them."""
        if instance.class_name.lower() != NAMESPACE.lower():
            raise CimError(Status.NOT_SUPPORTED, f"Instances of {instance.class_name} cannot be created.")
        context.require_administrator()
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
        context.require_administrator()
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
        OperationalStatus=[_UNKNOWN],
        EnabledState=_NOT_TOLD,
        RequestedState=_NOT_APPLICABLE,
    )
    return [
        manager,
        mechanism,
        system,
        _link(identity, MECHANISM_FOR_MANAGER, manager, mechanism),
        _link(identity, HOSTED_SERVICE, system, manager),
        *_profiles(identity, manager, system, indication_service),
    ]


def _profiles(
    identity: ServerIdentity, manager: Instance, system: Instance, indication_service: InstanceName | None
) -> list[Instance]:
    """Return the profiles that the server itself implements, their central instances, and which refers to which."""
    registration = _registration(identity)
    server = _profile(identity, "SMI-S:Server", "Server", "1.2.0", _SNIA)
    made = [
        registration,
        server,
        _conforms(identity, registration, _name(registration)),
        _conforms(identity, registration, _name(server)),
        _conforms(identity, server, _name(manager)),
    ]
    if indication_service is not None:
        made.append(_instance(identity, HOSTED_SERVICE, {"Antecedent": _name(system), "Dependent": indication_service}))
        # Minor versions are compatible, but clients look for the exact one that they know.
        for document, version in (("DSP1054", "1.2.2"), ("DSP1054:1.1.0", "1.1.0")):
            indications = _profile(identity, document, "Indications", version)
            made += [
                indications,
                _conforms(identity, registration, _name(indications)),
                _conforms(identity, indications, indication_service),
                _link(identity, REFERENCED_PROFILE, registration, indications),  # Antecedent is the one referred to
            ]
    return made


def _registered(identity: ServerIdentity, profile: InstanceName) -> tuple[Instance, Instance]:
    """Return how a provider's profile is tied to that by which the server registers it."""
    registration = _registration(identity)
    name = profile.within(identity.namespace)
    return (
        _conforms(identity, registration, name),
        _instance(identity, REFERENCED_PROFILE, {"Antecedent": _name(registration), "Dependent": name}),
    )


def _registration(identity: ServerIdentity) -> Instance:
    return _profile(identity, "DSP1033", "Profile Registration", "1.1.0")


def _profile(identity: ServerIdentity, document: str, name: str, version: str, organization: int = _DMTF) -> Instance:
    return _instance(
        identity,
        PROFILE,
        {"InstanceID": f"xen-cim:{document}"},
        ElementName=name,
        RegisteredOrganization=organization,
        RegisteredName=name,
        RegisteredVersion=version,
        AdvertiseTypes=[_NOT_ADVERTISED],
    )


def _conforms(identity: ServerIdentity, profile: Instance, element: InstanceName) -> Instance:
    return _instance(identity, CONFORMS, {"ConformantStandard": _name(profile), "ManagedElement": element})


def _link(identity: ServerIdentity, class_name: str, antecedent: Instance, dependent: Instance) -> Instance:
    return _instance(identity, class_name, {"Antecedent": _name(antecedent), "Dependent": _name(dependent)})


def _statistical_data(
    identity: ServerIdentity, manager: Instance, operation: str, totals: Totals
) -> tuple[Instance, Instance]:
    """Return what was counted of an operation, and its link to the object manager."""
    key = f"CIM:{manager.get('Name')}:{operation}"
    data = _instance(identity, STATISTICS, {"InstanceID": key}, **properties(operation, totals))
    return data, _instance(identity, STATISTICS_OF, {"ManagedElement": _name(manager), "Stats": _name(data)})


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
