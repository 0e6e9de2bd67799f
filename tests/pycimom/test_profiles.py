"""What the interop namespace tells of profiles: the server's own, and those of providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import pywbem

from cim_provider import ClassDeclaration, Instance, InstanceName, Provider, Value
from pycimom.broker import Registration
from pycimom.repository_cache import open_repository
from pycimom.static import StaticView, declare
from wbem_server import PASSWORD, USER, WbemServer

MODEL = """
class Test_Profile : CIM_RegisteredProfile { };
class Test_Box : CIM_ManagedElement { [Override("InstanceID"), Key] string InstanceID; };
[Association] class Test_Conforms : CIM_ElementConformsToProfile {
    [Override("ConformantStandard")] Test_Profile REF ConformantStandard;
    [Override("ManagedElement")] Test_Box REF ManagedElement;
};
"""


def named(class_name: str, keys: Mapping[str, Value], **others: Value) -> Instance:
    return Instance(class_name, {**keys, **others}, InstanceName(class_name, tuple(keys.items())))


PROFILE = named(
    "Test_Profile",
    {"InstanceID": "test:profile"},
    RegisteredOrganization=2,
    RegisteredName="Boxes",
    RegisteredVersion="1.0.0",
)
BOX = named("Test_Box", {"InstanceID": "test:box"})
CONFORMS = named("Test_Conforms", {"ConformantStandard": PROFILE.name, "ManagedElement": BOX.name})


class BoxProvider(Provider):
    def __init__(self, declarations: Mapping[str, ClassDeclaration]) -> None:
        self._declarations = declarations
        self._view = StaticView.of([PROFILE, BOX, CONFORMS])

    @property
    def declarations(self) -> Mapping[str, ClassDeclaration]:
        return self._declarations

    def view(self) -> StaticView:
        return self._view


@pytest.fixture(scope="module")
def url(schema_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    mof = tmp_path_factory.mktemp("mof") / "boxes.mof"
    mof.write_text(MODEL)
    repository = open_repository(schema_archive, [mof], tmp_path_factory.mktemp("cache"))
    names = ("Test_Profile", "Test_Box", "Test_Conforms")
    provider = BoxProvider({name: declare(repository.get("root/cimv2", name)) for name in names})
    running = WbemServer(repository, [Registration(provider)], state=tmp_path_factory.mktemp("state"))
    yield running.url
    running.stop()


@pytest.fixture
def server(url: str) -> pywbem.WBEMServer:
    return pywbem.WBEMServer(pywbem.WBEMConnection(url, (USER, PASSWORD), "root/cimv2"))


def central(server: pywbem.WBEMServer, name: str) -> list[tuple[str, str]]:
    profile = server.get_selected_profiles(registered_org="DMTF", registered_name=name)[0]
    return [(each.namespace, each.classname) for each in server.get_central_instances(profile.path)]


def test_the_servers_own_profiles_have_central_instances(server: pywbem.WBEMServer):
    assert central(server, "Indications") == [("root/interop", "CIM_IndicationService")]
    assert ("root/interop", "CIM_RegisteredProfile") in central(server, "Profile Registration")


def test_the_profile_that_is_referenced_is_the_antecedent(server: pywbem.WBEMServer):
    links = server.conn.EnumerateInstances("CIM_ReferencedProfile", namespace="root/interop")
    assert {link["Antecedent"]["InstanceID"] for link in links} == {"xen-cim:DSP1033"}
    dependents = {link["Dependent"]["InstanceID"] for link in links}
    assert dependents == {"xen-cim:DSP1054", "xen-cim:DSP1054:1.1.0", "test:profile"}


def test_a_providers_profile_leads_from_interop_to_where_its_instances_are(server: pywbem.WBEMServer):
    assert central(server, "Boxes") == [("root/cimv2", "Test_Box")]
    (path,) = server.get_central_instances(server.get_selected_profiles(registered_name="Boxes")[0].path)
    assert server.conn.GetInstance(path)["InstanceID"] == "test:box"
    (found,) = server.conn.Associators(path, AssocClass="CIM_ElementConformsToProfile")
    assert (found.path.namespace, found["RegisteredName"]) == ("root/cimv2", "Boxes")
    (link,) = server.conn.EnumerateInstances("Test_Conforms", namespace="root/interop")
    assert (link["ConformantStandard"].namespace, link["ManagedElement"].namespace) == ("root/interop", "root/cimv2")
    assert server.conn.GetInstance(link.path) == link


@pytest.mark.parametrize("namespace", ["root/interop", "root/cimv2"])
def test_all_profiles_are_readable_in_both_namespaces(server: pywbem.WBEMServer, namespace: str):
    conn = server.conn
    paths = {each["InstanceID"]: each for each in conn.EnumerateInstanceNames("CIM_RegisteredProfile", namespace)}
    assert paths.keys() == {each["InstanceID"] for each in server.profiles}
    assert {"test:profile", "xen-cim:DSP1033", "xen-cim:DSP1054"} < paths.keys()
    assert {each.namespace for each in paths.values()} == {namespace}
    for path in paths.values():
        assert conn.GetInstance(path)["RegisteredName"]
        (registration,) = conn.AssociatorNames(
            path, AssocClass="CIM_ElementConformsToProfile", Role="ManagedElement", ResultRole="ConformantStandard"
        )
        assert (registration.namespace, registration["InstanceID"]) == (namespace, "xen-cim:DSP1033")
        conforming = conn.AssociatorNames(registration, AssocClass="CIM_ElementConformsToProfile")
        assert (path.namespace, path.keybindings) in [(each.namespace, each.keybindings) for each in conforming]
    (service,) = conn.AssociatorNames(
        paths["xen-cim:DSP1054"], AssocClass="CIM_ElementConformsToProfile", ResultRole="ManagedElement"
    )
    assert (service.namespace, service.classname) == ("root/interop", "CIM_IndicationService")


def test_the_servers_services_are_hosted_by_its_system(server: pywbem.WBEMServer):
    conn = server.conn
    (system,) = conn.EnumerateInstanceNames("CIM_ComputerSystem", namespace="root/interop")
    hosted = conn.AssociatorNames(system, AssocClass="CIM_HostedService")
    assert {each.classname for each in hosted} == {"CIM_ObjectManager", "CIM_IndicationService"}


def test_namespaces_are_made_and_removed_through_their_instances(server: pywbem.WBEMServer):
    assert server.create_namespace("test/Boxes") == "test/Boxes"
    with pytest.raises(pywbem.CIMError) as error:
        server.create_namespace("test/boxes")
    assert error.value.status_code == pywbem.CIM_ERR_ALREADY_EXISTS
    assert server.conn.EnumerateClassNames(namespace="test/boxes") == []
    server.delete_namespace("test/Boxes")
    assert "test/Boxes" not in server.namespaces
    (interop,) = (each for each in server.namespace_paths if each["Name"] == "root/interop")
    with pytest.raises(pywbem.CIMError) as error:
        server.conn.DeleteInstance(interop)
    assert error.value.status_code == pywbem.CIM_ERR_NAMESPACE_NOT_EMPTY


def test_classes_without_a_provider_have_static_instances(server: pywbem.WBEMServer):
    """Two collections that no provider knows, an association between them, a class that has to be compiled first."""
    conn = server.conn
    one, two = (
        conn.CreateInstance(pywbem.CIMInstance("CIM_SystemSpecificCollection", {"InstanceID": f"test:{number}"}))
        for number in (1, 2)
    )
    link = conn.CreateInstance(pywbem.CIMInstance("CIM_MemberOfCollection", {"Collection": one, "Member": two}))
    assert [each["InstanceID"] for each in conn.AssociatorNames(one, Role="Collection")] == ["test:2"]
    assert conn.AssociatorNames(one, Role="Member") == []
    assert {each["InstanceID"] for each in conn.EnumerateInstanceNames("CIM_Collection")} >= {"test:1", "test:2"}
    conn.ModifyInstance(pywbem.CIMInstance("CIM_SystemSpecificCollection", {"Caption": "new"}, path=one))
    assert conn.GetInstance(one)["Caption"] == "new"
    for path in (link, one, two):
        conn.DeleteInstance(path)
    with pytest.raises(pywbem.CIMError) as error:
        conn.GetInstance(one)
    assert error.value.status_code == pywbem.CIM_ERR_NOT_FOUND
    with pytest.raises(pywbem.CIMError) as error:
        conn.CreateInstance(pywbem.CIMInstance("Test_Box", {"InstanceID": "test:other"}))
    assert error.value.status_code == pywbem.CIM_ERR_NOT_SUPPORTED
