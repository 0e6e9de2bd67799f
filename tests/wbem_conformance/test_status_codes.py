"""Every status code of DSP0200, each by a request that provokes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import pywbem
from pywbem import (
    CIMClass,
    CIMInstance,
    CIMInstanceName,
    CIMProperty,
    CIMQualifier,
    Uint16,
    WBEMConnection,
)

from cim_provider import CimError, Instance, InstanceName, Status
from pycimom.cimxml.writing import Writer
from pycimom.enumerations import EnumerationLimits, Enumerations, Kind, Results
from pycimom.fragments import Found, Fragments, Shape
from wbem_server import PASSWORD, USER, WbemServer

SYSTEM = CIMInstanceName("CIM_ComputerSystem", {"CreationClassName": "CIM_ComputerSystem", "Name": "example"})
INTEROP = "root/interop"


def new_class(name: str, superclass: str | None = None) -> CIMClass:
    key = CIMProperty("Id", None, "string", qualifiers={"Key": CIMQualifier("Key", True)})
    return CIMClass(name, {} if superclass else {"Id": key}, superclass=superclass)


def with_instance(client: WBEMConnection) -> None:
    client.CreateClass(new_class("My_Thing"))
    client.CreateInstance(CIMInstance("My_Thing", {"Id": "1"}))
    client.DeleteClass("My_Thing")


def modified(client: WBEMConnection, **properties: object) -> None:
    client.ModifyInstance(CIMInstance("CIM_ComputerSystem", properties, path=SYSTEM))


def namespaces(client: WBEMConnection) -> list[CIMInstanceName]:
    return client.EnumerateInstanceNames("CIM_Namespace", namespace=INTEROP)


def too_many(client: WBEMConnection) -> None:
    for _ in range(200):
        client.OpenEnumerateInstances("CIM_ComputerSystem")


def far_destination(client: WBEMConnection) -> None:
    destination = {"Destination": "http://192.0.2.1:5000"}
    client.CreateInstance(CIMInstance("CIM_ListenerDestinationCIMXML", destination), namespace=INTEROP)


def closed(client: WBEMConnection) -> None:
    context = client.OpenEnumerateInstances("CIM_ComputerSystem").context
    client.CloseEnumeration(context)
    client.PullInstancesWithPath(context, 1)


PROVOKED: dict[Status, Callable[[WBEMConnection], object]] = {
    Status.FAILED: lambda c: c.DeleteQualifier("Description"),
    Status.ACCESS_DENIED: far_destination,
    Status.INVALID_NAMESPACE: lambda c: c.EnumerateInstances("CIM_ComputerSystem", namespace="no/where"),
    Status.INVALID_PARAMETER: lambda c: c.GetInstance(CIMInstanceName("CIM_ComputerSystem", {"Name": "example"})),
    Status.INVALID_CLASS: lambda c: c.EnumerateInstances("No_Class"),
    Status.NOT_FOUND: lambda c: c.GetClass("No_Class"),
    Status.NOT_SUPPORTED: lambda c: c.DeleteInstance(c.EnumerateInstanceNames("CIM_ObjectManager", INTEROP)[0]),
    Status.CLASS_HAS_CHILDREN: lambda c: c.DeleteClass("CIM_ManagedElement"),
    Status.CLASS_HAS_INSTANCES: with_instance,
    Status.INVALID_SUPERCLASS: lambda c: c.CreateClass(new_class("My_Other", "No_Class")),
    Status.ALREADY_EXISTS: lambda c: c.CreateInstance(CIMInstance("CIM_ComputerSystem", dict(SYSTEM.keybindings))),
    Status.NO_SUCH_PROPERTY: lambda c: modified(c, NoProperty="x"),
    Status.TYPE_MISMATCH: lambda c: modified(c, EnabledState="many"),
    Status.QUERY_LANGUAGE_NOT_SUPPORTED: lambda c: c.ExecQuery("XPath", "//a"),
    Status.INVALID_QUERY: lambda c: c.ExecQuery("WQL", "SELECT FROM"),
    Status.METHOD_NOT_AVAILABLE: lambda c: c.InvokeMethod("RequestStateChange", SYSTEM, RequestedState=Uint16(2)),
    Status.METHOD_NOT_FOUND: lambda c: c.InvokeMethod("NoMethod", SYSTEM),
    Status.NAMESPACE_NOT_EMPTY: lambda c: c.DeleteInstance(namespaces(c)[0]),
    Status.INVALID_ENUMERATION_CONTEXT: closed,
    Status.INVALID_OPERATION_TIMEOUT: lambda c: c.OpenEnumerateInstances("CIM_ComputerSystem", OperationTimeout=10**6),
    Status.FILTERED_ENUMERATION_NOT_SUPPORTED: lambda c: c.OpenAssociatorInstancePaths(
        SYSTEM, FilterQueryLanguage="DMTF:FQL", FilterQuery="Name = 'x'"
    ),
    Status.CONTINUATION_ON_ERROR_NOT_SUPPORTED: lambda c: c.OpenEnumerateInstances(
        "CIM_ComputerSystem", ContinueOnError=True
    ),
    Status.SERVER_LIMITS_EXCEEDED: too_many,
}
OTHERWISE = {Status.PULL_HAS_BEEN_ABANDONED, Status.PULL_CANNOT_BE_ABANDONED, Status.SERVER_IS_SHUTTING_DOWN}
"""Those that need two requests at the same moment; see the tests further down."""


def test_no_code_is_left_out():
    assert set(PROVOKED) | OTHERWISE == set(Status)


def test_each_code_is_told(server: WbemServer):
    told = {}
    with WBEMConnection(server.url, (USER, PASSWORD), "root/cimv2") as client:
        for wanted, provoke in PROVOKED.items():
            with pytest.raises(pywbem.CIMError) as caught:
                provoke(client)
            told[wanted] = Status(caught.value.status_code)
            assert caught.value.status_description
    assert {wanted: found for wanted, found in told.items() if wanted is not found} == {}


class SlowFragments(Fragments):
    """Encodes when it is told to."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer, "host.example", 0)
        self.go = asyncio.Event()
        self.go.set()

    async def encode(self, *arguments, **options):
        await self.go.wait()
        return await super().encode(*arguments, **options)


NAMESPACE, OWNER = "root/cimv2", ("olga", "root/cimv2")


@pytest.fixture
async def slow(repository) -> tuple[SlowFragments, Enumerations]:
    fragments = SlowFragments(Writer(repository))
    return fragments, Enumerations(fragments, EnumerationLimits())


async def begin(sessions: Enumerations, count: int = 1) -> str | None:
    """Open a session of three systems, and return its context."""
    systems = [
        Instance(
            "CIM_ComputerSystem", {"Name": str(number)}, InstanceName("CIM_ComputerSystem", (("Name", str(number)),))
        )
        for number in range(3)
    ]
    results = Results(NAMESPACE, Shape.INSTANCE, [Found(NAMESPACE, systems)])
    return (await sessions.open(OWNER, Kind.INSTANCES, results, None, count)).context


async def pulling(slow: tuple[SlowFragments, Enumerations], count: int) -> tuple[str, asyncio.Task]:
    """Begin a pull that does not end before ``go`` is set."""
    fragments, sessions = slow
    context = await begin(sessions)
    fragments.go.clear()
    pull = asyncio.create_task(sessions.pull(OWNER, Kind.INSTANCES, context, count))
    await asyncio.sleep(0)
    return context, pull


async def test_a_pull_is_abandoned_by_closing_its_enumeration(slow):
    context, pull = await pulling(slow, 1)
    slow[1].close(OWNER, context)
    slow[0].go.set()
    with pytest.raises(CimError) as caught:
        await pull
    assert caught.value.status is Status.PULL_HAS_BEEN_ABANDONED
    assert len(slow[1]) == 0


async def test_the_last_pull_cannot_be_abandoned(slow):
    context, pull = await pulling(slow, 10)
    with pytest.raises(CimError) as caught:
        slow[1].close(OWNER, context)
    assert caught.value.status is Status.PULL_CANNOT_BE_ABANDONED
    slow[0].go.set()
    assert (await pull).context is None


async def test_two_pulls_at_once_are_refused(slow):
    context, pull = await pulling(slow, 1)
    with pytest.raises(CimError) as caught:
        await slow[1].pull(OWNER, Kind.INSTANCES, context, 1)
    assert caught.value.status is Status.INVALID_ENUMERATION_CONTEXT
    slow[0].go.set()
    assert (await pull).context == context


async def test_a_client_that_goes_leaves_nothing_behind(slow):
    _, pull = await pulling(slow, 1)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert len(slow[1]) == 0


async def test_nothing_is_opened_or_pulled_while_the_server_shuts_down(slow):
    context = await begin(slow[1])
    slow[1].close_all()
    for ask in (lambda: begin(slow[1]), lambda: slow[1].pull(OWNER, Kind.INSTANCES, context, 1)):
        with pytest.raises(CimError) as caught:
            await ask()
        assert caught.value.status is Status.SERVER_IS_SHUTTING_DOWN


async def test_a_user_has_a_share_of_the_sessions(repository):
    sessions = Enumerations(Fragments(Writer(repository), "host.example", 0), EnumerationLimits(sessions=3, of_user=1))
    await begin(sessions)
    with pytest.raises(CimError) as caught:
        await begin(sessions)
    assert caught.value.status is Status.SERVER_LIMITS_EXCEEDED


async def test_a_batch_has_a_limit_whatever_is_asked_for(repository):
    sessions = Enumerations(Fragments(Writer(repository), "host.example", 0), EnumerationLimits(batch=2))
    context = await begin(sessions, 4_000_000_000)
    assert context is not None
    assert sessions.count(OWNER, context) == 1
    assert (await sessions.pull(OWNER, Kind.INSTANCES, context, 4_000_000_000)).context is None
