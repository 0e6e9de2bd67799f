"""Virtual switches managed through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.management import INVALID_PARAMETER, INVALID_STATE, OK, named, resource, settings, system


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_VirtualSwitchManagementService")


def port(**properties: Any) -> str:
    """Settings of a port of a host, as MOF text."""
    given = {"ResourceType": 33, **properties}
    lines = "".join(f"{name} = {_literal(value)};" for name, value in given.items())
    return f"instance of Xen_HostNetworkPortSettingData {{ {lines} }};"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return "{" + ", ".join(map(_literal, value)) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture
def device(xenapi) -> tuple[str, int]:
    """The name of a device that hosts have and that can carry VLANs, and how many have it: a bond."""
    pifs = [each for each in xenapi.PIF.get_all_records().values() if each["bond_master_of"]]
    name = pifs[-1]["device"]
    return name, sum(each["device"] == name for each in pifs)


@pytest.fixture
def switch(call, xenapi):
    """Make a switch; return its path. It is gone afterwards."""
    made = []

    def switch(*resources: str, **properties: Any) -> Any:
        given = settings(ElementName="a switch", Description="for a test", **properties)
        value, outputs = call("DefineSystem", SystemSettings=given, ResourceSettings=list(resources))
        assert value == OK
        made.append(outputs["ResultingSystem"])
        return made[-1]

    yield switch
    for each in made:
        assert call("DestroySystem", AffectedSystem=each)[0] in (OK, INVALID_PARAMETER)


def record_of(xenapi: Any, path: Any) -> dict[str, Any]:
    assert path.classname == "Xen_VirtualSwitch"
    return xenapi.network.get_record(xenapi.network.get_by_uuid(path["Name"]))


def of_settings(path: Any) -> Any:
    return named("Xen_VirtualSwitchSettingData", InstanceID=f"Xen:{path['Name']}")


def test_an_internal_switch_comes_and_goes(call, xenapi, switch, wbem, everything):
    before = everything()
    path = switch()
    record = record_of(xenapi, path)
    assert wbem.GetInstance(path)["ElementName"] == "a switch"
    assert wbem.GetInstance(of_settings(path))["Description"] == "for a test"
    assert (record["name_label"], record["name_description"], record["PIFs"]) == ("a switch", "for a test", [])
    assert call("DestroySystem", AffectedSystem=path) == (OK, {})
    assert everything() == before
    assert call("DestroySystem", AffectedSystem=path) == (INVALID_PARAMETER, {})


def test_a_vlan_on_all_hosts(call, xenapi, switch, device, everything):
    before = everything()
    name, hosts = device
    path = switch(port(Connection=[name], VlanTag="77"))
    pifs = [xenapi.PIF.get_record(each) for each in record_of(xenapi, path)["PIFs"]]
    assert len(pifs) == hosts
    assert {(each["device"], each["VLAN"]) for each in pifs} == {(name, "77")}
    assert call("DestroySystem", AffectedSystem=path) == (OK, {})
    assert everything() == before


def test_a_vlan_on_one_host(call, xenapi, switch, device):
    host = next(iter(xenapi.host.get_all_records().values()))
    path = switch(port(Connection=[device[0]], VlanTag=78, PoolID=host["uuid"]))
    (pif,) = [xenapi.PIF.get_record(each) for each in record_of(xenapi, path)["PIFs"]]
    assert xenapi.host.get_uuid(pif["host"]) == host["uuid"]


def test_a_bond_is_removed_and_added(call, xenapi, wbem, everything):
    record = next(each for each in xenapi.PIF.get_all_records().values() if each["bond_master_of"])
    slaves = {xenapi.PIF.get_device(each) for each in xenapi.Bond.get_slaves(record["bond_master_of"][0])}
    host, network = xenapi.host.get_uuid(record["host"]), record["network"]
    before = everything()
    assert call("RemoveResourceSettings", ResourceSettings=[f"Xen:{host}/{record['uuid']}"]) == (OK, {})
    assert everything()["Bond"] < before["Bond"]
    assert record["device"] not in {xenapi.PIF.get_device(each) for each in xenapi.network.get_PIFs(network)} or (
        len(xenapi.network.get_PIFs(network)) == 1
    )
    given = port(Connection=[",".join(sorted(slaves))], PoolID=host)
    of_switch = named("Xen_VirtualSwitchSettingData", InstanceID=f"Xen:{xenapi.network.get_uuid(network)}")
    value, outputs = call("AddResourceSettings", AffectedConfiguration=of_switch, ResourceSettings=[given])
    assert value == OK
    (added,) = outputs["ResultingResourceSettings"]
    assert wbem.GetInstance(added)["InstanceID"] == added["InstanceID"]
    new = xenapi.PIF.get_record(xenapi.PIF.get_by_uuid(added["InstanceID"].rpartition("/")[2]))
    assert (xenapi.host.get_uuid(new["host"]), new["network"]) == (host, network)
    (bond,) = new["bond_master_of"]
    assert {xenapi.PIF.get_device(each) for each in xenapi.Bond.get_slaves(bond)} == slaves
    assert len(everything()["Bond"]) == len(before["Bond"])


def test_a_switch_with_machines_stays(call, xenapi, switch, vm, call_of):
    path = switch()
    nic = resource(33, PoolID=path["Name"])
    add = call_of("Xen_VirtualSystemManagementService")
    assert add("AddResourceSetting", AffectedSystem=system(xenapi.VM.get_uuid(vm)), ResourceSetting=nic)[0] == OK
    assert call("DestroySystem", AffectedSystem=path) == (INVALID_STATE, {})
    xenapi.VIF.destroy(xenapi.VM.get_VIFs(vm)[0])


def test_settings_of_a_switch_change(call, xenapi, switch, wbem):
    path = switch()
    given = settings(
        "Xen_ComputerSystemSettingData",
        InstanceID=f"Xen:{path['Name']}",
        ElementName="renamed",
        Other_Config=["colour=red"],
    )
    assert call("ModifySystemSettings", SystemSettings=given) == (OK, {})
    record = record_of(xenapi, path)
    assert (record["name_label"], record["name_description"]) == ("renamed", "for a test")
    assert record["other_config"]["colour"] == "red"


def test_addresses_of_a_device_change(call, xenapi, device):
    ref, record = next((ref, each) for ref, each in xenapi.PIF.get_all_records().items() if each["bond_master_of"])
    host = xenapi.host.get_uuid(record["host"])
    name = {"InstanceID": f"Xen:{host}/{record['uuid']}"}
    static = {"IPAddress": "192.0.2.9", "IPSubnetMask": "255.255.255.0", "IPGateway": "192.0.2.1", "DNS": "192.0.2.2"}
    given = port(**name, IPConfigurationMode=2, ManagementPurpose="backup", **static)
    value, outputs = call("ModifyResourceSettings", ResourceSettings=[given])
    assert (value, outputs["ResultingResourceSettings"][0]["InstanceID"]) == (OK, name["InstanceID"])
    after = xenapi.PIF.get_record(ref)
    assert [after[each] for each in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS")] == [
        "Static",
        *static.values(),
    ]
    assert after["other_config"]["management_purpose"] == "backup"
    wrong = port(**name, ManagementPurpose="lost", IPConfigurationMode=2, IPAddress="no address")
    assert call("ModifyResourceSettings", ResourceSettings=[wrong])[0] == 2
    assert xenapi.PIF.get_record(ref)["other_config"]["management_purpose"] == "backup"
    nothing = port(**name, IPConfigurationMode=0, ManagementPurpose="")
    assert call("ModifyResourceSettings", ResourceSettings=[nothing])[0] == OK
    assert xenapi.PIF.get_IP(ref) == ""
    assert "management_purpose" not in xenapi.PIF.get_other_config(ref)


def test_what_is_wrong_is_refused_and_nothing_left(call, switch, everything, device):
    path = switch()
    before = everything()
    new = {"SystemSettings": settings(ElementName="x")}
    for method, wrong in [
        ("DefineSystem", {}),
        ("DefineSystem", {"SystemSettings": settings()}),
        ("DefineSystem", {**new, "ResourceSettings": [port()]}),
        ("DefineSystem", {**new, "ResourceSettings": [port(Connection=[device[0]])]}),
        ("DefineSystem", {**new, "ResourceSettings": [port(Connection=[device[0]], VlanTag=5000)]}),
        ("DefineSystem", {**new, "ResourceSettings": [port(Connection=["eth0", "eth1"], VlanTag=5)]}),
        ("DefineSystem", {**new, "ResourceSettings": [port(Connection=["eth77"], VlanTag=5)]}),
        ("DestroySystem", {}),
        ("DestroySystem", {"AffectedSystem": "nobody"}),
        ("AddResourceSettings", {"AffectedConfiguration": of_settings(path)}),
        ("AddResourceSettings", {"ResourceSettings": [port(Connection=[device[0]], VlanTag=5)]}),
        ("RemoveResourceSettings", {}),
        ("RemoveResourceSettings", {"ResourceSettings": ["Xen:a/nobody"]}),
        ("ModifyResourceSettings", {}),
        ("ModifyResourceSettings", {"ResourceSettings": [port(InstanceID="Xen:a/nobody")]}),
        ("ModifySystemSettings", {"SystemSettings": settings(InstanceID="Xen:nobody")}),
        ("ModifySystemSettings", {}),
    ]:
        assert call(method, **wrong) == (INVALID_PARAMETER, {}), (method, wrong)
    assert everything() == before


def test_a_physical_device_cannot_leave_its_network(call, xenapi):
    pif = next(each for each in xenapi.PIF.get_all_records().values() if each["physical"])
    name = f"Xen:{xenapi.host.get_uuid(pif['host'])}/{pif['uuid']}"
    assert call("RemoveResourceSettings", ResourceSettings=[name]) == (INVALID_STATE, {})
