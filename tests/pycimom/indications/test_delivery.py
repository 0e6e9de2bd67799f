"""Which indications are selected, and their delivery to foreign listeners."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cim_provider import Instance
from indication_rig import (
    ALL,
    CHANGED,
    HERE,
    Listener,
    Rig,
    add_destination,
    add_filter,
    change,
    free_port,
    subscribe,
    subscription,
)
from pycimom.indications import DeliverySettings

STORAGE_MANAGERS = (
    "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND "
    "SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState"
)


class TestDelivery:
    async def test_an_indication_reaches_a_listener_with_both_instances(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, ALL)
        rig.source.emit(change(3, 2))
        found = await listener.next()
        assert found.classname == "Test_SystemModification"
        assert found["PreviousInstance"].classname == "Test_System"
        assert (found["PreviousInstance"]["EnabledState"], found["SourceInstance"]["EnabledState"]) == (3, 2)
        assert found["IndicationTime"].datetime == datetime(2024, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(("query", "language"), [(CHANGED, "WQL"), (STORAGE_MANAGERS, "DMTF:CQL")])
    async def test_only_what_the_query_selects_is_sent(
        self, rig: Rig, listen: Callable[..., Listener], query: str, language: str
    ):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, query, language)
        for before, after in ((2, 2), (2, 3), (3, 3), (3, 2)):
            rig.source.emit(change(before, after))
        found = [await listener.next() for _ in range(2)]
        assert [each["SourceInstance"]["EnabledState"] for each in found] == [3, 2]
        assert [each["SequenceNumber"] for each in found] == [0, 1]

    async def test_selected_properties_only(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, "SELECT IndicationIdentifier FROM CIM_InstModification")
        rig.source.emit(change(3, 2))
        found = await listener.next()
        sequence = {"IndicationFilterName", "SequenceContext", "SequenceNumber"}
        assert set(found.properties) == {"IndicationIdentifier"} | sequence

    async def test_a_filter_without_namespaces_means_all_that_know_the_class(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, listener = await rig.start(), listen()
        chosen = await add_filter(service, ALL, SourceNamespaces=None)
        await subscribe(service, chosen, await add_destination(service, listener.url))
        rig.source.emit(change(3, 2))
        assert (await listener.next())["SourceInstance"]["EnabledState"] == 2

    async def test_order_and_sequence(self, rig: Rig, listen: Callable[..., Listener]):
        service, one, other = await rig.start(), listen(), listen()
        chosen = await add_filter(service, ALL, Name="all:changes")
        for listener in (one, other):
            await subscribe(service, chosen, await add_destination(service, listener.url))
        for number in range(20):
            rig.source.emit(change(3, 2, f"vm{number}"))
        contexts = set()
        for listener in (one, other):
            found = [await listener.next() for _ in range(20)]
            assert [each["IndicationIdentifier"] for each in found] == [f"vm{number} 3 2" for number in range(20)]
            assert [each["SequenceNumber"] for each in found] == list(range(20))
            assert {each["IndicationFilterName"] for each in found} == {"all:changes"}
            contexts.add(frozenset(each["SequenceContext"] for each in found))
        assert len(contexts) == 2
        assert all(len(each) == 1 for each in contexts)

    async def test_a_listener_that_comes_late_gets_everything_in_order(self, rig: Rig, listen: Callable[..., Listener]):
        service, port = await rig.start(), free_port()
        await subscription(service, f"http://127.0.0.1:{port}", ALL)
        rig.source.emit(change(3, 2, "first"))
        rig.source.emit(change(3, 2, "second"))
        seconds, release = await rig.pauses.next()
        assert seconds == 30
        listener = listen(port)
        release.set()
        found = [await listener.next() for _ in range(2)]
        assert [each["IndicationIdentifier"] for each in found] == ["first 3 2", "second 3 2"]
        assert [each["SequenceNumber"] for each in found] == [0, 1]
        assert rig.pauses.begun.empty()

    async def test_a_dead_listener_delays_nobody_and_is_given_up_in_the_end(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, port, alive = await rig.start(), free_port(), listen()
        chosen = await add_filter(service, ALL)
        await subscribe(service, chosen, await add_destination(service, f"http://127.0.0.1:{port}"))
        await subscribe(service, chosen, await add_destination(service, alive.url))
        rig.source.emit(change(3, 2, "first"))
        assert (await alive.next())["IndicationIdentifier"] == "first 3 2"
        for _ in range(3):
            seconds, release = await rig.pauses.next()
            assert seconds == 30
            last = release
            if rig.pauses.begun.empty():
                release.set()
        rig.source.emit(change(3, 2, "second"))
        assert (await alive.next())["IndicationIdentifier"] == "second 3 2"
        # The first is given up after its third pause; now the second waits, and the listener comes.
        assert last.is_set()
        _, release = await rig.pauses.next()
        late = listen(port)
        release.set()
        found = await late.next()
        assert (found["IndicationIdentifier"], found["SequenceNumber"]) == ("second 3 2", 1)

    async def test_a_full_queue_drops_the_oldest(self, rig: Rig, listen: Callable[..., Listener]):
        service, port = await rig.start(delivery=DeliverySettings(queue_length=2, timeout=5)), free_port()
        await subscription(service, f"http://127.0.0.1:{port}", ALL)
        rig.source.emit(change(3, 2, "vm0"))
        _, release = await rig.pauses.next()
        for number in range(1, 6):
            rig.source.emit(change(3, 2, f"vm{number}"))
        listener = listen(port)
        release.set()
        assert [(await listener.next())["SequenceNumber"] for _ in range(3)] == [0, 4, 5]

    async def test_subscriptions_live_on_after_a_restart(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        name = await subscription(service, listener.url, CHANGED)
        rig.source.emit(change(3, 2))
        before = await listener.next()
        await rig.stop()
        assert rig.source.sinks == []
        service = await rig.start()
        assert service.view().instance(name) is not None
        rig.source.emit(change(2, 3))
        after = await listener.next()
        assert after["SequenceNumber"] == 0
        assert after["SequenceContext"] != before["SequenceContext"]

    async def test_a_deleted_or_disabled_subscription_is_silent(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        deleted = await subscription(service, listener.url, ALL)
        disabled = await subscription(service, listener.url, ALL)
        kept = await subscription(service, listener.url, CHANGED)
        await service.delete_instance(HERE, deleted)
        await service.modify_instance(HERE, disabled, {"SubscriptionState": 4}, None)
        chosen = service.view().instance(kept.get("Filter"))
        rig.source.emit(change(3, 2))
        rig.source.emit(change(2, 3))
        found = [await listener.next() for _ in range(2)]
        assert [each["IndicationFilterName"] for each in found] == [chosen.get("Name")] * 2

    async def test_a_wrong_indication_harms_nobody(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, ALL)
        rig.source.emit(Instance("Test_SystemModification", {"IndicationTime": "noon", "SourceInstance": object()}))
        rig.source.emit(change(3, 2))
        assert (await listener.next())["SourceInstance"]["EnabledState"] == 2
