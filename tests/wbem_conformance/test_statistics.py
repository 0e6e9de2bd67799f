"""Counting of operations, switched and read as any client can."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pywbem

from wbem_server import PASSWORD, USER, WbemServer

INTEROP = "root/interop"


@pytest.fixture
def client(server: WbemServer) -> Iterator[pywbem.WBEMConnection]:
    with pywbem.WBEMConnection(server.url, (USER, PASSWORD), INTEROP, stats_enabled=True) as connection:
        yield connection


def switch(client: pywbem.WBEMConnection, on: bool) -> None:
    (manager,) = client.EnumerateInstances("CIM_ObjectManager")
    manager["GatherStatisticalData"] = on
    client.ModifyInstance(manager, PropertyList=["GatherStatisticalData"])
    assert client.GetInstance(manager.path)["GatherStatisticalData"] is on


def counted(client: pywbem.WBEMConnection) -> dict[str, pywbem.CIMInstance]:
    return {each["ElementName"]: each for each in client.EnumerateInstances("CIM_CIMOMStatisticalData")}


def test_operations_are_counted_while_it_is_on(client):
    assert counted(client) == {}
    switch(client, True)
    for _ in range(3):
        client.GetClass("CIM_ManagedElement")
    client.OpenEnumerateInstances("CIM_Namespace", MaxObjectCount=100)
    found = counted(client)
    classes, opened = found["GetClass"], found["OpenEnumerateInstances"]
    assert (classes["OperationType"], classes["NumberOfOperations"]) == (3, 3)
    assert (opened["OperationType"], opened["OtherOperationType"]) == (1, "OpenEnumerateInstances")
    assert classes["RequestSize"] > 0
    assert classes["ResponseSize"] > 1000
    assert opened["ProviderElapsedTime"].timedelta.total_seconds() > 0
    assert classes["CimomElapsedTime"].timedelta.total_seconds() > 0
    switch(client, False)
    before = counted(client)["GetClass"]["NumberOfOperations"]
    client.GetClass("CIM_ManagedElement")
    assert counted(client)["GetClass"]["NumberOfOperations"] == before
    switch(client, True)
    assert "GetClass" not in counted(client)


def test_what_is_counted_belongs_to_the_object_manager(client):
    switch(client, True)
    (manager,) = client.EnumerateInstanceNames("CIM_ObjectManager")
    assert client.AssociatorNames(manager, AssocClass="CIM_ElementStatisticalData")


def test_nothing_else_of_the_object_manager_can_be_changed(client):
    (manager,) = client.EnumerateInstances("CIM_ObjectManager")
    with pytest.raises(pywbem.CIMError) as caught:
        client.ModifyInstance(pywbem.CIMInstance("CIM_ObjectManager", {"Caption": "Mine"}, path=manager.path))
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_SUPPORTED


def test_the_servers_time_is_told(client):
    client.GetClass("CIM_ManagedElement")
    assert 0 < client.last_server_response_time < 10
