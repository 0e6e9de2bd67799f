"""The service itself (DSP1054): what administrators set, whose subscriptions end, and what it offers ready-made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cim_provider import Instance, InstanceName, Status
from indication_rig import (
    ADMINISTRATOR,
    ALL,
    HERE,
    WAIT,
    Listener,
    Rig,
    add_destination,
    add_filter,
    change,
    free_port,
    status_of,
    subscribe,
    subscription,
)
from pycimom.indications import DeliverySettings, IndicationService

OFFERS = {
    "root/cimv2": {"Lifecycle": ["Test_SystemCreation", "Test_SystemModification"], "Alerts": ["CIM_AlertIndication"]}
}
LIFECYCLE = InstanceName("CIM_FilterCollection", (("InstanceID", "xen-cim:root/cimv2:Lifecycle"),))


async def set_policy(service: IndicationService, **changes: object) -> None:
    await service.modify_instance(ADMINISTRATOR, service.name, changes, None)


def policy(service: IndicationService, name: str) -> object:
    (described,) = service.view().instances("CIM_IndicationService")
    return described.get(name)


class TestPolicy:
    async def test_administrators_set_it_and_it_outlives_a_restart(self, rig: Rig):
        service = await rig.start()
        assert await status_of(service.modify_instance(HERE, service.name, {"DeliveryRetryAttempts": 1}, None)) is (
            Status.ACCESS_DENIED
        )
        await set_policy(service, DeliveryRetryAttempts=1, DeliveryRetryInterval=7, SubscriptionRemovalAction=3)
        await set_policy(service, SubscriptionRemovalAction=2)
        await rig.stop()
        service = await rig.start(delivery=DeliverySettings(retry_attempts=9, retry_interval=8))
        assert [policy(service, each) for each in ("DeliveryRetryAttempts", "DeliveryRetryInterval")] == [1, 7]
        assert policy(service, "SubscriptionRemovalAction") == 2
        assert policy(service, "ElementName")
        capabilities = service.view().instances("CIM_IndicationServiceCapabilities")[0]
        settable = {name for name, value in capabilities.properties.items() if name.endswith("IsSettable") and value}
        assert len(settable) == 5

    async def test_what_is_set_to_what_the_settings_say_follows_them_again(self, rig: Rig):
        service = await rig.start()
        await set_policy(service, DeliveryRetryAttempts=1)
        await set_policy(service, DeliveryRetryAttempts=3)
        await rig.stop()
        service = await rig.start(delivery=DeliverySettings(retry_attempts=9))
        assert policy(service, "DeliveryRetryAttempts") == 9

    @pytest.mark.parametrize(
        ("name", "value", "status"),
        [
            ("DeliveryRetryAttempts", 1001, Status.INVALID_PARAMETER),
            ("DeliveryRetryInterval", 0, Status.INVALID_PARAMETER),
            ("SubscriptionRemovalAction", 5, Status.INVALID_PARAMETER),
            ("SubscriptionRemovalTimeInterval", 0, Status.INVALID_PARAMETER),
            ("EnabledState", 3, Status.NOT_SUPPORTED),
            ("Name", "x", Status.INVALID_PARAMETER),
        ],
    )
    async def test_what_cannot_be_set(self, rig: Rig, name: str, value: object, status: Status):
        service = await rig.start()
        before = policy(service, name)
        assert await status_of(set_policy(service, **{name: value})) is status
        assert policy(service, name) == before

    async def test_retries_follow_it_at_once(self, rig: Rig):
        service = await rig.start()
        await subscription(service, f"http://127.0.0.1:{free_port()}", ALL)
        rig.source.emit(change(3, 2))
        assert (await rig.pauses.next())[0] == 30
        await set_policy(service, DeliveryRetryInterval=5)
        await subscription(service, f"http://127.0.0.1:{free_port()}", ALL)
        rig.source.emit(change(3, 2))
        assert (await rig.pauses.next())[0] == 5

    async def test_filters_only_while_they_are_wanted(self, rig: Rig):
        service = await rig.start()
        await set_policy(service, FilterCreationEnabled=False)
        assert await status_of(add_filter(service, ALL)) is Status.NOT_SUPPORTED
        await set_policy(service, FilterCreationEnabled=True)
        await add_filter(service, ALL)


class TestRemoval:
    """Of subscriptions whose destination does not answer."""

    @pytest.mark.parametrize(
        ("action", "own", "seconds", "left"),
        [
            (2, {}, 60, None),
            (3, {}, 60, 4),
            (4, {}, 60, 2),
            (2, {}, 59, 2),
            (4, {"OnFatalErrorPolicy": 3, "FailureTriggerTimeInterval": 5}, 5, 4),
            (4, {"OnFatalErrorPolicy": 4, "FailureTriggerTimeInterval": 5}, 5, None),
            (4, {"OnFatalErrorPolicy": 4, "FailureTriggerTimeInterval": 5}, 4, 2),
            (3, {"OnFatalErrorPolicy": 4}, 60, None),
        ],
    )
    async def test_the_service_or_the_subscription_says_what_and_when(
        self, rig: Rig, action: int, own: dict[str, int], seconds: int, left: int | None
    ):
        service = await rig.start()
        await set_policy(service, SubscriptionRemovalAction=action, SubscriptionRemovalTimeInterval=60)
        handler = await add_destination(service, f"http://127.0.0.1:{free_port()}")
        name = await subscribe(service, await add_filter(service, ALL), handler, **own)
        rig.source.emit(change(3, 2))
        _, release = await rig.pauses.next()
        rig.clock.now += seconds
        release.set()
        if left == 2:
            await rig.pauses.next()
        else:
            async with asyncio.timeout(WAIT):
                while service._ending or rig.source.sinks:
                    await asyncio.sleep(0.01)
        kept = service.view().instance(name)
        assert (None if kept is None else kept.get("SubscriptionState")) == left
        await rig.stop()
        assert bool(rig.waiting()) == (left == 2)

    async def test_an_answer_begins_the_time_anew(self, rig: Rig, listen: Callable[..., Listener]):
        service, port = await rig.start(), free_port()
        await set_policy(service, SubscriptionRemovalTimeInterval=60)
        name = await subscription(service, f"http://127.0.0.1:{port}", ALL)
        rig.source.emit(change(3, 2))
        _, release = await rig.pauses.next()
        rig.clock.now += 40
        listener = listen(port)
        release.set()
        await listener.next()
        await asyncio.to_thread(listener._listener.stop)
        rig.source.emit(change(3, 2))
        _, release = await rig.pauses.next()
        rig.clock.now += 40
        release.set()
        await rig.pauses.next()
        assert service.view().instance(name).get("SubscriptionState") == 2


class TestOffers:
    async def test_filters_and_collections_are_there_and_stay(self, rig: Rig):
        service = await rig.start(offers=OFFERS)
        view = service.view()
        assert len(view.instances("CIM_FilterCollection")) == 2
        filters = {each.get("Query"): each for each in view.instances("CIM_IndicationFilter")}
        assert set(filters) == {
            f"SELECT * FROM {name}"
            for name in ("Test_SystemCreation", "Test_SystemModification", "CIM_AlertIndication")
        }
        members = view.references("CIM_MemberOfCollection", LIFECYCLE, "Collection")
        assert len(members) == 2
        managed = view.references("CIM_ServiceAffectsElement", service.name, "AffectingElement")
        assert len(managed) == 5
        owned = view.references("CIM_OwningCollectionElement", service.name, "OwningElement")
        assert {each.get("OwnedElement").get("InstanceID") for each in owned} == {
            "xen-cim:root/cimv2:Lifecycle",
            "xen-cim:root/cimv2:Alerts",
        }
        for each in (*filters.values(), *view.instances("CIM_FilterCollection"), *members):
            assert await status_of(service.delete_instance(ADMINISTRATOR, each.name)) is Status.ACCESS_DENIED
            declared = rig.repository.get("root/interop", each.class_name)
            assert set(each.properties) <= set(declared.properties)

    async def test_one_of_the_filters_can_be_subscribed_to(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(offers=OFFERS), listen()
        chosen = next(
            each.name
            for each in service.view().instances("CIM_IndicationFilter")
            if each.get("Query") == "SELECT * FROM Test_SystemModification"
        )
        await subscribe(service, chosen, await add_destination(service, listener.url))
        rig.source.emit(change(3, 2))
        assert (await listener.next())["IndicationFilterName"] == "xen-cim:root/cimv2:Test_SystemModification"

    async def test_a_collection_can_be_subscribed_to(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(offers=OFFERS), listen()
        handler = await add_destination(service, listener.url)
        wanted = Instance("CIM_FilterCollectionSubscription", {"Filter": LIFECYCLE, "Handler": handler})
        name = await service.create_instance(HERE, wanted)
        assert await status_of(service.delete_instance(HERE, handler)) is Status.FAILED
        rig.source.emit(change(3, 2))
        assert (await listener.next())["IndicationFilterName"] == "xen-cim:root/cimv2:Test_SystemModification"
        await rig.stop()
        service = await rig.start(offers=OFFERS)
        rig.source.emit(change(2, 3))
        assert (await listener.next())["SourceInstance"]["EnabledState"] == 3
        await service.delete_instance(HERE, name)
        assert rig.source.sinks == []

    async def test_the_kinds_of_subscriptions_take_their_own_ends(self, rig: Rig):
        service = await rig.start(offers=OFFERS)
        handler, chosen = await add_destination(service, "http://127.0.0.1:5000"), await add_filter(service, ALL)
        wrong = Instance("CIM_FilterCollectionSubscription", {"Filter": chosen, "Handler": handler})
        assert await status_of(service.create_instance(HERE, wrong)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, LIFECYCLE, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, handler, OnFatalErrorPolicy=1)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, handler, RepeatNotificationPolicy=3)) is (
            Status.INVALID_PARAMETER
        )

    async def test_clients_make_collections_of_their_own(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(offers=OFFERS), listen()
        collection = await service.create_instance(HERE, Instance("CIM_FilterCollection", {}))
        handler, chosen = await add_destination(service, listener.url), await add_filter(service, ALL, Name="mine")
        wanted = Instance("CIM_FilterCollectionSubscription", {"Filter": collection, "Handler": handler})
        name = await service.create_instance(HERE, wanted)
        assert rig.source.sinks == []
        join = Instance("CIM_MemberOfCollection", {"Collection": collection, "Member": chosen})
        member = await service.create_instance(HERE, join)
        rig.source.emit(change(3, 2))
        assert (await listener.next())["IndicationFilterName"] == "mine"
        assert await status_of(service.delete_instance(HERE, chosen)) is Status.FAILED
        assert await status_of(service.delete_instance(HERE, collection)) is Status.FAILED
        other = Instance("CIM_MemberOfCollection", {"Collection": LIFECYCLE, "Member": chosen})
        assert await status_of(service.create_instance(HERE, other)) is Status.ACCESS_DENIED
        await service.delete_instance(HERE, member)
        assert rig.source.sinks == []
        await service.create_instance(HERE, join)
        assert len(rig.source.sinks) == 1
        for each in (name, collection, chosen):
            await service.delete_instance(HERE, each)
        assert service.view().instance(member) is None

    async def test_collections_are_small_and_what_is_offered_counts_for_nobody(self, rig: Rig):
        service = await rig.start(offers=OFFERS, max_filters=66)
        collection = await service.create_instance(HERE, Instance("CIM_FilterCollection", {}))
        handler = await add_destination(service, "http://127.0.0.1:5000")
        wanted = Instance("CIM_FilterCollectionSubscription", {"Filter": collection, "Handler": handler})
        await service.create_instance(HERE, wanted)
        for number in range(33):
            chosen = await add_filter(service, ALL)
            join = service.create_instance(
                HERE, Instance("CIM_MemberOfCollection", {"Collection": collection, "Member": chosen})
            )
            if number < 32:
                await join
            else:
                assert await status_of(join) is Status.FAILED
        assert len(rig.source.sinks) == 32
        assert await status_of(add_filter(service, ALL)) is Status.FAILED


class TestRestart:
    async def test_those_who_want_alerts_are_told_to_read_again(self, rig: Rig, listen: Callable[..., Listener]):
        service, listener = await rig.start(), listen()
        await subscription(service, listener.url, "SELECT * FROM CIM_AlertIndication")
        await subscription(service, listener.url, ALL)
        await rig.stop()
        await rig.start()
        alert = await listener.next()
        assert (alert.classname, alert["EventID"], alert["AlertType"]) == ("CIM_AlertIndication", "SERVER_STARTED", 7)
        rig.source.emit(change(3, 2))
        assert (await listener.next()).classname == "Test_SystemModification"


class TestOwners:
    async def test_a_subscription_stops_when_its_owner_may_read_no_longer(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        answers = iter([False, True, False, False])  # at first it was but for a moment that nobody knew her

        async def may_read(user: str) -> bool:
            return user == "root" or next(answers)

        service, listener = await rig.start(may_read=may_read), listen()
        name = await subscription(service, listener.url, ALL)
        handler = name.get("Handler")
        own = await add_filter(service, ALL, Name="the administrator's")
        wanted = Instance("CIM_IndicationSubscription", {"Filter": own, "Handler": handler})
        await service.create_instance(ADMINISTRATOR, wanted)

        seconds, release = await rig.pauses.next()
        assert seconds == 60
        for state in (2, 2, 2, 4):
            release.set()
            _, release = await rig.pauses.next()
            assert service.view().instance(name).get("SubscriptionState") == state
        assert len(rig.source.sinks) == 1
        rig.source.emit(change(3, 2))
        assert (await listener.next())["IndicationFilterName"] == "the administrator's"
