"""The profiles that the whole server registers, as pywbem finds them (DSP1033)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pywbem

REGISTERED = {  # what clients look for: organization and name, version
    "DSP1033": ("Profile Registration", "1.1.0", "xen-cim:DSP1033"),
    "DSP1041": ("Resource Allocation", "1.1.0", "Xen:ResourceAllocationProfile"),
    "DSP1042": ("System Virtualization", "1.0.0", "Xen:SystemVirtualizationProfile"),
    "DSP1043": ("Allocation Capabilities", "1.0.0", "Xen:AllocationCapabilitiesProfile"),
    "DSP1044": ("Processor Allocation Profile", "1.0.0", "Xen:ProcessorAllocationProfile"),
    "DSP1045": ("Memory Allocation Profile", "1.0.0", "Xen:MemoryAllocationProfile"),
    "DSP1047": ("Storage Resource Virtualization Profile", "1.0.0", "Xen:StorageResourceVirtualizationProfile"),
    "DSP1050": (
        "Ethernet Port Resource Virtualization Profile",
        "1.0.0",
        "Xen:EthernetPortResourceVirtualizationProfile",
    ),
    "DSP1053": ("Base Metrics", "1.0.0", "Xen:BaseMetricsProfile"),
    "DSP1054": ("Indications", "1.2.2", "xen-cim:DSP1054"),
    "DSP1057": ("Virtual System Profile", "1.0.0", "Xen:VirtualSystemProfile"),
    "DSP1059": ("Generic Device Allocation Profile", "1.0.0", "Xen:GenericDeviceAllocationProfile"),
    "DSP1081": ("Virtual System Migration", "1.0.0", "Xen:VirtualSystemMigrationProfile"),
    "DSP1097": ("Virtual Ethernet Switch", "1.0.0", "Xen:VirtualEthernetSwitchProfile"),
    "DSP1103": ("Job Control", "1.0.0", "Xen:JobControlProfile"),
}
CENTRAL = {  # the classes of the instances that conform, by document
    "DSP1041": {"Xen_ProcessorPool", "Xen_MemoryPool", "Xen_StoragePool", "Xen_NetworkConnectionPool"},
    "DSP1042": {"Xen_HostComputerSystem"},
    "DSP1043": {
        "Xen_ProcessorAllocationCapabilities",
        "Xen_MemoryAllocationCapabilities",
        "Xen_StorageAllocationCapabilities",
        "Xen_NetworkConnectionAllocationCapabilities",
    },
    "DSP1044": {"Xen_ProcessorPool"},
    "DSP1045": {"Xen_MemoryPool"},
    "DSP1047": {"Xen_HostComputerSystem", "Xen_StoragePool"},
    "DSP1050": {"Xen_VirtualSwitch", "Xen_NetworkConnectionPool"},
    "DSP1053": {"Xen_MetricService"},
    "DSP1054": {"CIM_IndicationService"},
    "DSP1057": {"Xen_ComputerSystem"},
    "DSP1059": {"Xen_StoragePool"},
    "DSP1081": {"Xen_VirtualSystemMigrationService"},
    "DSP1097": {"Xen_VirtualSwitch"},
    "DSP1103": {"Xen_VirtualSystemManagementService"},
}
NAMESPACES = ["root/interop", "root/cimv2"]
SYSTEM_VIRTUALIZATION = REGISTERED["DSP1042"][2]


@pytest.fixture
def wbem(bridge) -> Iterator[pywbem.WBEMConnection]:
    with bridge.wbem() as connection:
        yield connection


def same(path: pywbem.CIMInstanceName) -> tuple:
    """What tells two paths apart wherever they came from."""
    return path.namespace, path.classname, *sorted(path.keybindings.items())


def profile(wbem: pywbem.WBEMConnection, namespace: str, document: str) -> pywbem.CIMInstance:
    found = wbem.EnumerateInstances("CIM_RegisteredProfile", namespace=namespace)
    (each,) = (each for each in found if each["InstanceID"] == REGISTERED[document][2])
    return each


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_profile_is_registered_once(wbem, namespace):
    found = wbem.EnumerateInstances("CIM_RegisteredProfile", namespace=namespace)
    registered = [(each["RegisteredName"], each["RegisteredVersion"], each["InstanceID"]) for each in found]
    assert {each["RegisteredOrganization"] for each in found if each["InstanceID"] != "xen-cim:SMI-S:Server"} == {2}
    assert set(REGISTERED.values()) <= set(registered)
    assert len({each[:2] for each in registered}) == len(registered), "organization, name and version are unique"
    for each in found:
        assert wbem.GetInstance(each.path) == each


@pytest.mark.parametrize("document", CENTRAL)
def test_pywbem_finds_the_central_instances(wbem, document):
    server = pywbem.WBEMServer(wbem)
    name, version, _ = REGISTERED[document]
    (found,) = server.get_selected_profiles("DMTF", name, version)
    central = server.get_central_instances(found.path)
    assert {each.classname for each in central} == CENTRAL[document]
    for path in central:
        assert wbem.GetInstance(path)


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("document", CENTRAL)
def test_profiles_and_what_conforms_lead_to_each_other(wbem, namespace, document):
    path = profile(wbem, namespace, document).path
    own = [] if document == "DSP1054" else ["Xen_ElementConformsToProfile"]
    for association in ["CIM_ElementConformsToProfile", *own]:
        elements = wbem.AssociatorNames(
            path, AssocClass=association, Role="ConformantStandard", ResultRole="ManagedElement"
        )
        assert {each.classname for each in elements} == CENTRAL[document]
        for element in elements:
            back = wbem.AssociatorNames(element, AssocClass=association, ResultRole="ConformantStandard")
            assert path.keybindings in [each.keybindings for each in back]
    for association in own:
        assert wbem.AssociatorNames(path, AssocClass=association, Role="ManagedElement") == []


def test_only_pools_that_hold_cds_are_of_generic_devices(wbem, xenapi):
    repositories = xenapi.SR.get_all_records().values()
    with_cds = {each["uuid"] for each in repositories if each["content_type"] == "iso"}
    assert 0 < len(with_cds) < len(repositories)
    path = profile(wbem, "root/cimv2", "DSP1059").path
    found = wbem.Associators(path, AssocClass="Xen_ElementConformsToProfile")
    assert {each["PoolID"] for each in found} == with_cds


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_system_virtualization_refers_to_the_others(wbem, namespace):
    path = profile(wbem, namespace, "DSP1042").path
    referred = wbem.AssociatorNames(path, AssocClass="CIM_ReferencedProfile", Role="Dependent", ResultRole="Antecedent")
    others = {each[2] for document, each in REGISTERED.items() if document not in ("DSP1042", "DSP1054")}
    assert {each["InstanceID"] for each in referred} == others
    assert {each.namespace for each in referred} == {namespace}
    assert wbem.AssociatorNames(path, AssocClass="CIM_ReferencedProfile", Role="Antecedent") == []
    for each in referred:
        back = wbem.AssociatorNames(each, AssocClass="CIM_ReferencedProfile", ResultRole="Dependent")
        assert SYSTEM_VIRTUALIZATION in {other["InstanceID"] for other in back}


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_profile_conforms_to_its_registration(wbem, namespace):
    registration = profile(wbem, namespace, "DSP1033").path
    conforming = wbem.AssociatorNames(
        registration, AssocClass="CIM_ElementConformsToProfile", Role="ConformantStandard"
    )
    everything = wbem.EnumerateInstanceNames("CIM_RegisteredProfile", namespace=namespace)
    assert {same(each) for each in conforming} == {same(each) for each in everything}
