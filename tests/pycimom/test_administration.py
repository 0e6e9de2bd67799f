"""Who may change what belongs to the CIM server itself: administrators, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pywbem
import structlog.testing
from pywbem import CIMClass, CIMInstance, CIMProperty, CIMQualifier, CIMQualifierDeclaration, WBEMConnection

from pycimom.repository import Repository
from wbem_server import PASSWORD, READER, USER, WbemServer

INTEROP = "root/interop"
THING = CIMClass("T_Thing", {"Id": CIMProperty("Id", None, "string", qualifiers={"Key": CIMQualifier("Key", True)})})
MINE = CIMQualifierDeclaration("Mine", "string", scopes={"CLASS": True})


KEYS = {"CreationClassName": "CIM_ComputerSystem", "Name": "a"}
SYSTEM = CIMInstance(
    "CIM_ComputerSystem", {**KEYS, "ElementName": "A"}, path=pywbem.CIMInstanceName("CIM_ComputerSystem", KEYS)
)


def namespace_path(client: WBEMConnection) -> pywbem.CIMInstanceName:
    names = client.EnumerateInstanceNames("CIM_Namespace", namespace=INTEROP)
    return next(each for each in names if each["Name"] == "root/made")


def switch_statistics(client: WBEMConnection) -> None:
    (manager,) = client.EnumerateInstances("CIM_ObjectManager", namespace=INTEROP)
    manager["GatherStatisticalData"] = not manager["GatherStatisticalData"]
    client.ModifyInstance(manager, PropertyList=["GatherStatisticalData"])


WRITES: dict[str, Callable[[WBEMConnection], object]] = {
    "CreateInstance of a namespace": lambda client: client.CreateInstance(
        CIMInstance("CIM_Namespace", {"Name": "root/made"}), namespace=INTEROP
    ),
    "SetQualifier": lambda client: client.SetQualifier(MINE),
    "CreateClass": lambda client: client.CreateClass(THING),
    "ModifyClass": lambda client: client.ModifyClass(THING),
    "DeleteClass": lambda client: client.DeleteClass("T_Thing"),
    "DeleteQualifier": lambda client: client.DeleteQualifier("Mine"),
    "CreateInstance": lambda client: client.CreateInstance(SYSTEM),
    "ModifyInstance": lambda client: client.ModifyInstance(SYSTEM, PropertyList=["ElementName"]),
    "DeleteInstance": lambda client: client.DeleteInstance(SYSTEM.path),
    "ModifyInstance of the object manager": switch_statistics,
    "DeleteInstance of a namespace": lambda client: client.DeleteInstance(namespace_path(client)),
}
"""Every kind of write that is the server's own business; in this order they undo each other."""


@pytest.fixture
def server(repository: Repository, tmp_path: Path) -> Iterator[WbemServer]:
    running = WbemServer(repository, [], host="host.example", state=tmp_path)
    yield running
    running.stop()


@pytest.fixture
def connect(server: WbemServer) -> Iterator[Callable[[str], WBEMConnection]]:
    opened: list[WBEMConnection] = []

    def connect(user: str) -> WBEMConnection:
        opened.append(WBEMConnection(server.url, (user, PASSWORD), "root/cimv2"))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def refused(call: Callable[[WBEMConnection], object], client: WBEMConnection) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        call(client)
    assert caught.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
    assert READER in caught.value.status_description


def test_each_write_is_the_administrators(connect):
    administrator, reader = connect(USER), connect(READER)
    with structlog.testing.capture_logs() as entries:
        for write in WRITES.values():
            refused(write, reader)
            write(administrator)  # so what was refused was possible, and had not happened
    audited = [(each["user"], each["outcome"]) for each in entries if each["event"] == "audit"]
    assert audited == [(READER, "ACCESS_DENIED"), (USER, "ok")] * len(WRITES)


def test_who_may_not_administer_may_read(connect):
    reader = connect(READER)
    assert reader.GetClass("CIM_ManagedElement").classname == "CIM_ManagedElement"
    assert reader.GetQualifier("Key")
    assert reader.EnumerateInstances("CIM_Namespace", namespace=INTEROP)


def test_a_subscription_is_its_owners_and_the_administrators(connect):
    administrator, reader = connect(USER), connect(READER)
    query = {"Query": "SELECT * FROM CIM_InstCreation", "QueryLanguage": "WQL", "SourceNamespaces": ["root/cimv2"]}

    def make(client: WBEMConnection, name: str) -> pywbem.CIMInstanceName:
        return client.CreateInstance(CIMInstance("CIM_IndicationFilter", {"Name": name, **query}), namespace=INTEROP)

    theirs, own, other = make(administrator, "theirs"), make(reader, "own"), make(reader, "other")
    refused(lambda client: client.DeleteInstance(theirs), reader)
    reader.DeleteInstance(own)
    administrator.DeleteInstance(other)
    administrator.DeleteInstance(theirs)
