"""Pulled enumerations, with pywbem."""

from __future__ import annotations

import asyncio
import re

import pytest
import pywbem

from cim_provider import CimError, Status
from pycimom.cimxml.writing import Writer
from pycimom.enumerations import EnumerationLimits, Enumerations, Kind, Results
from pycimom.fragments import Found, Fragments, Shape


@pytest.fixture
def many(server, tools):
    server.provider.put(*(tools.system(number) for number in range(10, 30)))
    return server


@pytest.mark.parametrize("size", [1, 3, 23, 1000])
def test_batches_are_the_whole(many, size):
    plain = [each["Number"] for each in many.connect().EnumerateInstances("T_System")]
    client = many.connect(use_pull_operations=True)
    assert [each["Number"] for each in client.IterEnumerateInstances("T_System", MaxObjectCount=size)] == plain
    paths = list(client.IterEnumerateInstancePaths("T_System", MaxObjectCount=size))
    assert [each.keybindings["Number"] for each in paths] == plain
    assert {each.host for each in paths} == {"cim.example"}


@pytest.mark.parametrize("use_pull", [True, False])
def test_associations_with_pull_and_without(server, use_pull):
    client = server.connect(use_pull_operations=use_pull)
    path = pywbem.CIMInstanceName("T_Setting", {"InstanceID": "setting 1"})
    options = {"MaxObjectCount": 1}
    assert sorted(each["Number"] for each in client.IterAssociatorInstances(path, **options)) == [1, 3]
    assert len(list(client.IterAssociatorInstancePaths(path, ResultClass="T_SubSystem", **options))) == 1
    assert len(list(client.IterReferenceInstances(path, **options))) == 2
    assert len(list(client.IterReferenceInstancePaths(path, Role="Dependent", **options))) == 2


def test_a_session_shows_one_version(many, tools):
    client = many.connect()
    begun = client.OpenEnumerateInstances("T_System", MaxObjectCount=1)
    many.provider.put(gone=tuple(tools.system(number).name for number in range(10, 30)))
    rest = client.PullInstancesWithPath(begun.context, 1000)
    assert len(begun.instances) + len(rest.instances) == 23
    assert rest.eos


def test_nothing_asked_for_keeps_the_session(many):
    client = many.connect()
    begun = client.OpenEnumerateInstancePaths("T_System")
    assert (begun.paths, begun.eos) == ([], False)
    again = client.PullInstancePaths(begun.context, 0)
    assert (again.paths, again.eos) == ([], False)
    client.CloseEnumeration(again.context)
    _fails(lambda: client.PullInstancePaths(again.context, 1), pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT)


def test_what_is_left_is_counted(many, tools):
    client = many.connect()

    def left(context):
        parameter = f'<IPARAMVALUE NAME="EnumerationContext"><VALUE>{context[0]}</VALUE></IPARAMVALUE>'
        answer = many.post(tools.intrinsic("EnumerationCount", parameter), tools.headers("EnumerationCount"))
        return re.search(r"<IRETURNVALUE><VALUE>(\d+)</VALUE></IRETURNVALUE>|CODE=\"(\d+)\"", answer.text).groups()

    begun = client.OpenEnumerateInstances("T_System", MaxObjectCount=3)
    assert left(begun.context) == ("20", None)
    client.PullInstancesWithPath(begun.context, 5)
    assert left(begun.context) == ("15", None)
    client.CloseEnumeration(begun.context)
    assert left(begun.context) == (None, "21")


def test_pulls_of_very_many_keep_nothing(start, tools, monkeypatch):
    monkeypatch.setattr("pycimom.enumerations.KEPT", 10)
    server = start()
    systems = [tools.system(number) for number in range(11)]
    server.provider.put(*systems)
    client = server.connect(use_pull_operations=True)
    assert len(list(client.IterEnumerateInstances("T_System", MaxObjectCount=3))) == 11
    assert not any(each.cache for each in systems)
    server.provider.put(gone=(systems[0].name,))
    assert len(list(client.IterEnumerateInstances("T_System", MaxObjectCount=3))) == 10
    assert all(each.cache for each in systems[1:])


def test_an_empty_enumeration_ends_at_once(client):
    begun = client.OpenEnumerateInstances("T_Lonely", MaxObjectCount=1)
    assert (begun.instances, begun.eos) == ([], True)


def test_a_session_belongs_to_its_user_namespace_and_kind(many):
    client = many.connect()
    context = client.OpenEnumerateInstances("T_System", MaxObjectCount=1).context
    invalid = pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT
    _fails(lambda: many.connect("otto").PullInstancesWithPath(context, 1), invalid)
    _fails(lambda: many.connect("otto").CloseEnumeration(context), invalid)
    _fails(lambda: client.PullInstancesWithPath((context[0], "root/empty"), 1), invalid)
    _fails(lambda: client.PullInstancePaths(context, 1), invalid)
    _fails(lambda: client.PullInstances(context, 1), invalid)
    assert len(client.PullInstancesWithPath(context, 1).instances) == 1


def test_sessions_are_limited(start, tools):
    server = start(enumerations=2)
    server.provider.put(*(tools.system(number) for number in range(5)))
    client = server.connect()
    first = client.OpenEnumerateInstances("T_System").context
    client.OpenEnumerateInstances("T_System", OperationTimeout=10)
    _fails(lambda: client.OpenEnumerateInstances("T_System"), pywbem.CIM_ERR_SERVER_LIMITS_EXCEEDED)
    client.CloseEnumeration(first)
    assert client.OpenEnumerateInstances("T_System").context


def test_a_batch_is_limited(start, tools):
    server = start(enumeration_batch=2)
    server.provider.put(*(tools.system(number) for number in range(5)))
    client = server.connect(use_pull_operations=True)
    begun = client.OpenEnumerateInstances("T_System", MaxObjectCount=1000)
    assert (len(begun.instances), begun.eos) == (2, False)
    assert len(list(client.IterEnumerateInstances("T_System", MaxObjectCount=1000))) == 5


async def test_sessions_expire(schema, tools):
    fragments = Fragments(Writer(schema), "host", 1 << 20)
    sessions = Enumerations(fragments, EnumerationLimits(timeout=0, longest_timeout=10))
    results = Results(tools.namespace, Shape.INSTANCE, [Found(tools.namespace, [tools.system(1), tools.system(2)])])
    owner = ("olga", tools.namespace)
    short = await sessions.open(owner, Kind.INSTANCES, results, None, 1)
    long = await sessions.open(owner, Kind.INSTANCES, results, 10, 1)
    assert len(sessions) == 2
    while len(sessions) == 2:
        await asyncio.sleep(0)
    with pytest.raises(CimError) as caught:
        await sessions.pull(owner, Kind.INSTANCES, short.context, 1)
    assert caught.value.status is Status.INVALID_ENUMERATION_CONTEXT
    assert (await sessions.pull(owner, Kind.INSTANCES, long.context, 1)).context is None


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"ContinueOnError": True}, pywbem.CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED),
        ({"OperationTimeout": 100_000}, pywbem.CIM_ERR_INVALID_OPERATION_TIMEOUT),
        ({"OperationTimeout": 0}, pywbem.CIM_ERR_INVALID_OPERATION_TIMEOUT),
        ({"FilterQueryLanguage": "DMTF:FQL", "FilterQuery": "Number ="}, pywbem.CIM_ERR_INVALID_QUERY),
        ({"FilterQueryLanguage": "SQL", "FilterQuery": "x"}, pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
        ({"FilterQuery": "Number = 1"}, pywbem.CIM_ERR_INVALID_PARAMETER),
    ],
)
def test_openings_that_are_refused(client, options, status):
    _fails(lambda: client.OpenEnumerateInstances("T_System", **options), status)


def _fails(ask, status):
    with pytest.raises(pywbem.CIMError) as caught:
        ask()
    assert caught.value.status_code == status
