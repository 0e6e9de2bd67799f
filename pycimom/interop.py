"""The interop namespace: what the server is and which namespaces it has, for clients to find (DSP1033, DSP0004)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cim_provider import ClassDeclaration, Instance, InstanceName, KeyValue, Provider, Value
from pycimom.repository import Repository
from pycimom.static import StaticView, declare

MANAGER = "CIM_ObjectManager"
NAMESPACE = "CIM_Namespace"
NAMESPACE_IN_MANAGER = "CIM_NamespaceInManager"
MECHANISM = "CIM_CIMXMLCommunicationMechanism"
MECHANISM_FOR_MANAGER = "CIM_CommMechanismForManager"

_SYSTEM_CLASS = "CIM_ComputerSystem"
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
    """Serves the one CIM_ObjectManager, the namespaces and the CIM-XML mechanism, made once from the repository."""

    def __init__(self, repository: Repository, identity: ServerIdentity) -> None:
        names = (MANAGER, NAMESPACE, NAMESPACE_IN_MANAGER, MECHANISM, MECHANISM_FOR_MANAGER)
        self._declarations = {name: declare(repository.get(identity.namespace, name)) for name in names}
        self._view = StaticView.of(_instances(repository, identity))

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        """The classes served."""
        return self._declarations

    def view(self) -> StaticView:
        """Return the one view there is."""
        return self._view


def _instances(repository: Repository, identity: ServerIdentity) -> list[Instance]:
    manager = _instance(
        identity,
        MANAGER,
        {
            "SystemCreationClassName": _SYSTEM_CLASS,
            "SystemName": identity.system_name,
            "CreationClassName": MANAGER,
            "Name": f"xen-cim:{identity.system_name}",
        },
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
        {
            "SystemCreationClassName": _SYSTEM_CLASS,
            "SystemName": identity.system_name,
            "CreationClassName": MECHANISM,
            "Name": f"xen-cim:{identity.system_name}:cim-xml",
        },
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
    namespaces = [_namespace(identity, name) for name in repository.namespaces()]
    links = [
        _instance(identity, NAMESPACE_IN_MANAGER, {"Antecedent": _name(manager), "Dependent": _name(each)})
        for each in namespaces
    ]
    mechanism_link = _instance(
        identity, MECHANISM_FOR_MANAGER, {"Antecedent": _name(manager), "Dependent": _name(mechanism)}
    )
    return [manager, mechanism, mechanism_link, *namespaces, *links]


def _namespace(identity: ServerIdentity, name: str) -> Instance:
    return _instance(
        identity,
        NAMESPACE,
        {
            "SystemCreationClassName": _SYSTEM_CLASS,
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
