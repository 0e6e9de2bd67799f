"""The broker itself: indications, writes that outlive their client, failing providers, and the loop's time."""

from __future__ import annotations

import asyncio
import socket

import pytest

from cim_provider import CimError, Context, Indication, Instance, MethodResult, Principal, Status
from pycimom.broker import Broker, Registration
from pycimom.cimxml.writing import Writer
from pycimom.fragments import Found, Fragments, Shape
from pycimom.reading import AssociationFilter


def test_watching_a_class_means_its_subclasses_too(server, tools):
    seen = []
    stop = server.call(lambda: server.server.broker.watch(tools.namespace, "t_event", seen.append))
    event = Indication(Instance("T_SubEvent", {"Text": "now"}))
    server.call(lambda: [sink(event) for sink in server.provider.sinks])
    assert seen == [event]
    server.call(stop)
    assert server.provider.sinks == []


@pytest.mark.parametrize(
    ("class_name", "status"), [("T_System", Status.INVALID_PARAMETER), ("Nothing", Status.INVALID_CLASS)]
)
def test_only_indications_can_be_watched(server, tools, class_name, status):
    with pytest.raises(CimError) as caught:
        server.server.broker.watch(tools.namespace, class_name, print)
    assert caught.value.status is status


async def test_a_write_goes_on_when_its_client_is_gone(server, schema, tools):
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Slow(type(server.provider)):
        async def invoke_method(self, *arguments):
            begun.set()
            await may_end.wait()
            ended.set()
            return MethodResult(0)

    provider = Slow(schema)
    broker = Broker(schema, [Registration(provider)])
    provider.put(tools.setting(1))
    context = Context(Principal("olga", may_administer=True), tools.namespace)
    call = asyncio.create_task(broker.invoke_method(context, tools.setting(1).name, "Reset", {}))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    stopping = asyncio.create_task(broker.stop())
    may_end.set()
    await stopping
    assert ended.is_set()


async def test_providers_that_started_are_stopped_when_one_fails(server, schema):
    log = []

    class Noted(type(server.provider)):
        async def start(self):
            log.append("start")
            if len(log) == 2:
                raise OSError("no")

        async def stop(self):
            log.append("stop")

    broker = Broker(schema, [Registration(Noted(schema)), Registration(Noted(schema))])
    with pytest.raises(OSError, match="no"):
        await broker.start()
    assert log == ["start", "start", "stop"]


def test_a_client_that_hangs_up_leaves_nothing_behind(server, tools):
    body = tools.intrinsic(
        "EnumerateInstances", '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="T_System"/></IPARAMVALUE>'
    )
    fields = {
        **tools.headers("EnumerateInstances"),
        "Authorization": tools.basic(tools.user, tools.password),
        "Content-Type": "application/xml",
        "Content-Length": str(len(body)),
        "Host": "x",
    }
    request = "POST /cimom HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall((request + body).encode())
    assert len(server.connect().EnumerateInstances("T_System")) == 3


async def test_encoding_much_lets_others_have_their_turn(schema, tools):
    fragments = Fragments(Writer(schema), "host", 1 << 28)
    found = Found(
        tools.namespace, tuple(tools.system(number % 65536, Words=["a"] * 20) for number in range(5000)), True
    )
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    running = asyncio.create_task(others())
    first = await fragments.encode(Shape.NAMED_INSTANCE, found)
    assert turns > 5
    turns = 0
    again = await fragments.encode(Shape.NAMED_INSTANCE, found)
    running.cancel()
    assert turns == 0
    assert first == again
    assert fragments.used >= sum(map(len, first))


def test_the_account_is_settled_when_instances_die(schema, tools):
    fragments = Fragments(Writer(schema), "host", 1 << 20)
    found = Found(tools.namespace, [tools.system(1)])
    asyncio.run(fragments.encode(Shape.NAMED_INSTANCE, found))
    assert fragments.used > 100
    del found
    assert fragments.used == 0


def test_far_ends_in_other_namespaces(schema, tools, server):
    far = tools.setting(1).name.within("root/empty")
    system = tools.system(50)
    server.provider.put(system, tools.link(system, Instance("T_Setting", {}, far)))
    reading = server.server.broker.read()
    names = reading.associator_names(tools.namespace, system.name, AssociationFilter())
    assert [each.namespace for each in names] == ["root/empty"]
    assert reading.associators(tools.namespace, system.name, AssociationFilter()) == []
    assert reading.associator_names(tools.namespace, system.name, AssociationFilter(result_class="T_Setting")) == []


@pytest.mark.parametrize("may_wait", [False, True])
async def test_samples_are_brought_up_to_date_before_they_are_read(server, schema, tools, may_wait):
    class Sampling(type(server.provider)):
        sampled_classes = frozenset({"t_setting"})

        async def refresh(self, classes):
            self.calls.append(("refresh", set(classes)))
            self.put(Instance("T_Setting", {"InstanceID": "setting 1", "Level": len(self.calls)}, name))

    name = tools.setting(1).name
    provider = Sampling(schema)
    broker = Broker(schema, [Registration(provider, may_wait=may_wait)])
    provider.put(tools.setting(1), tools.system(1), tools.link(tools.system(1), tools.setting(1)))
    ((found,),) = [each.instances for each in await broker.read().instances(tools.namespace, "T_Setting")]
    assert found.get("Level") == 1
    found = await broker.look(lambda reading: reading.instance(tools.namespace, name))
    assert found.get("Level") == 2
    wanted = AssociationFilter()
    behind = await broker.look(lambda reading: reading.associators(tools.namespace, tools.system(1).name, wanted))
    assert [each.get("Level") for each in behind[0].instances] == [3]
    assert provider.calls == [("refresh", {"t_setting"})] * 3
    await broker.look(lambda reading: reading.instance(tools.namespace, tools.system(1).name))
    await broker.read().instances(tools.namespace, "T_System")
    assert len(provider.calls) == 3
