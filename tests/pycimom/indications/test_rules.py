"""The rules of filters, destinations and subscriptions, and of the service that keeps them."""

from __future__ import annotations

import asyncio

import pytest

from cim_provider import Instance, InstanceName, Status
from indication_rig import (
    ADMINISTRATOR,
    ALL,
    CHANGED,
    HERE,
    WAIT,
    Rig,
    add_destination,
    add_filter,
    status_of,
    subscribe,
    subscription,
)
from pycimom.indications import DeliverySettings


class TestRules:
    async def test_keys_and_defaults_are_filled_in(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL)
        assert [chosen.get(key) for key in ("SystemCreationClassName", "SystemName", "CreationClassName")] == [
            "CIM_ComputerSystem",
            "host.example",
            "CIM_IndicationFilter",
        ]
        assert chosen.get("Name")
        named = await add_filter(service, ALL, Name="mine", SystemName="other", SYSTEMCREATIONCLASSNAME="X_System")
        assert [value for _, value in sorted(named.keys)] == ["CIM_IndicationFilter", "mine", "X_System", "other"]
        handler = await add_destination(service, "http://127.0.0.1:5000")
        kept = service.view().instance(handler)
        assert (kept.get("PersistenceType"), kept.get("Protocol")) == (2, 2)
        name = await subscribe(service, chosen, handler)
        kept = service.view().instance(name)
        assert [kept.get(each) for each in ("SubscriptionState", "OnFatalErrorPolicy", "RepeatNotificationPolicy")] == [
            2,
            2,
            2,
        ]
        assert kept.get("SubscriptionStartTime") is not None

    async def test_the_older_name_of_destinations_is_taken(self, rig: Rig):
        service = await rig.start()
        handler = await add_destination(service, "http://127.0.0.1:5000", kind="CIM_IndicationHandlerCIMXML")
        assert handler.class_name == "CIM_IndicationHandlerCIMXML"
        await subscribe(service, await add_filter(service, ALL), handler)
        assert len(rig.source.sinks) == 1

    async def test_bad_filters(self, rig: Rig):
        service = await rig.start()
        assert await status_of(add_filter(service, ALL, "SQL")) is Status.QUERY_LANGUAGE_NOT_SUPPORTED
        assert await status_of(add_filter(service, "SELECT")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, "SELECT * FROM Nothing")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, "SELECT * FROM CIM_ComputerSystem")) is Status.INVALID_QUERY
        assert await status_of(add_filter(service, ALL, SourceNamespaces=["nowhere"])) is Status.INVALID_PARAMETER
        without = Instance("CIM_IndicationFilter", {"QueryLanguage": "WQL"})
        assert await status_of(service.create_instance(HERE, without)) is Status.INVALID_PARAMETER
        assert service.view().instances("CIM_IndicationFilter") == ()

    @pytest.mark.parametrize(
        "url",
        ["", "listener", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://u:p@127.0.0.1", "http://a b"],
    )
    async def test_bad_destinations(self, rig: Rig, url: str):
        service = await rig.start()
        assert await status_of(add_destination(service, url)) is Status.INVALID_PARAMETER

    async def test_bad_references(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL)
        handler = await add_destination(service, "http://127.0.0.1:5000")
        missing = InstanceName("CIM_IndicationFilter", (("Name", "x"),))
        assert await status_of(subscribe(service, missing, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, handler, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, chosen)) is Status.INVALID_PARAMETER
        elsewhere = InstanceName(chosen.class_name, chosen.keys, "root/cimv2")
        assert await status_of(subscribe(service, elsewhere, handler)) is Status.INVALID_PARAMETER
        assert await status_of(subscribe(service, chosen, handler, SubscriptionState=7)) is Status.INVALID_PARAMETER
        assert rig.source.sinks == []

    async def test_everything_exists_once(self, rig: Rig):
        service = await rig.start()
        chosen = await add_filter(service, ALL, Name="one")
        assert await status_of(add_filter(service, CHANGED, Name="one")) is Status.ALREADY_EXISTS
        handler = await add_destination(service, "http://127.0.0.1:5000", Name="one")
        assert await status_of(add_destination(service, "http://127.0.0.1:5001", Name="one")) is Status.ALREADY_EXISTS
        await subscribe(service, chosen, handler)
        bare = InstanceName(chosen.class_name, chosen.keys)
        assert await status_of(subscribe(service, bare, handler)) is Status.ALREADY_EXISTS
        assert len(rig.source.sinks) == 1

    async def test_what_a_subscription_uses_stays(self, rig: Rig):
        service = await rig.start()
        name = await subscription(service, "http://127.0.0.1:5000", ALL)
        chosen, handler = name.get("Filter"), name.get("Handler")
        assert isinstance(chosen, InstanceName)
        assert isinstance(handler, InstanceName)
        assert await status_of(service.delete_instance(HERE, chosen)) is Status.FAILED
        assert await status_of(service.delete_instance(HERE, handler)) is Status.FAILED
        for each in (name, chosen, handler):
            await service.delete_instance(HERE, each)
        assert rig.source.sinks == []
        assert await status_of(service.delete_instance(HERE, chosen)) is Status.NOT_FOUND

    async def test_a_transient_destination_stays_until_its_client_deletes_it(self, rig: Rig):
        service = await rig.start()
        handler = await add_destination(service, "http://127.0.0.1:5000", PersistenceType=3)
        name = await subscribe(service, await add_filter(service, ALL), handler)
        await service.delete_instance(HERE, name)
        assert service.view().instance(handler) is not None
        await service.delete_instance(HERE, handler)
        assert service.view().instance(handler) is None

    async def test_a_subscription_ends_after_its_duration(self, rig: Rig):
        service = await rig.start()
        chosen, handler = await add_filter(service, ALL), await add_destination(service, "http://127.0.0.1:5000")
        name = await subscribe(service, chosen, handler, SubscriptionDuration=3600)
        seconds, _ = await rig.pauses.next()
        assert 3590 < seconds <= 3600
        await rig.stop()
        service = await rig.start()
        seconds, release = await rig.pauses.next()
        assert 3590 < seconds <= 3600
        assert len(rig.source.sinks) == 1
        await service.modify_instance(HERE, name, {"SubscriptionState": 4}, None)
        await service.modify_instance(HERE, name, {"SubscriptionState": 2}, None)
        for _ in range(2):
            seconds, release = await rig.pauses.next()
            assert 3590 < seconds <= 3600
        release.set()
        async with asyncio.timeout(WAIT):
            while rig.source.sinks:
                await asyncio.sleep(0)
        assert service.view().instance(name) is None
        await service.delete_instance(HERE, chosen)

    async def test_limits(self, rig: Rig):
        service = await rig.start(max_filters=2, max_destinations=1, max_subscriptions=1)
        handler = await add_destination(service, "http://127.0.0.1:5000")
        assert await status_of(add_destination(service, "http://127.0.0.1:5001")) is Status.FAILED
        await subscribe(service, await add_filter(service, ALL), handler)
        query = Instance("CIM_IndicationFilter", {"Query": ALL, "QueryLanguage": "WQL"})
        second = await service.create_instance(ADMINISTRATOR, query)
        assert await status_of(subscribe(service, second, handler)) is Status.FAILED
        assert await status_of(add_filter(service, ALL)) is Status.FAILED

    async def test_half_of_all_is_the_most_that_one_user_may_have(self, rig: Rig):
        service = await rig.start(max_destinations=4)
        urls = [f"http://127.0.0.1:{port}" for port in range(5000, 5005)]
        for url in urls[:2]:
            await add_destination(service, url)
        assert await status_of(add_destination(service, urls[2])) is Status.FAILED
        for url in urls[2:4]:
            await add_destination(service, url, ADMINISTRATOR)
        assert await status_of(add_destination(service, urls[4], ADMINISTRATOR)) is Status.FAILED

    async def test_the_service_describes_itself(self, rig: Rig):
        service = await rig.start(delivery=DeliverySettings(retry_attempts=5, retry_interval=7))
        (described,) = service.view().instances("CIM_IndicationService")
        assert (described.get("DeliveryRetryAttempts"), described.get("DeliveryRetryInterval")) == (5, 7)
        (capabilities,) = service.view().instances("CIM_IndicationServiceCapabilities")
        (link,) = service.view().references("CIM_ElementCapabilities", described.name, "ManagedElement")
        assert link.get("Capabilities") == capabilities.name
        for class_name in ("CIM_IndicationService", "CIM_IndicationServiceCapabilities", "CIM_ElementCapabilities"):
            cim_class = rig.repository.get("root/interop", class_name)
            for each in service.view().instances(class_name):
                assert set(each.properties) <= set(cim_class.properties)
        assert await status_of(service.delete_instance(HERE, described.name)) is Status.ACCESS_DENIED
        assert await status_of(service.create_instance(HERE, described)) is Status.NOT_SUPPORTED

    async def test_only_the_state_of_a_subscription_can_be_modified(self, rig: Rig):
        service = await rig.start()
        name = await subscription(service, "http://127.0.0.1:5000", ALL)
        await service.modify_instance(HERE, name, {"SubscriptionState": 4}, None)
        assert rig.source.sinks == []
        await service.modify_instance(HERE, name, {"SubscriptionState": 2}, ["SubscriptionState"])
        assert len(rig.source.sinks) == 1
        chosen = name.get("Filter")
        assert isinstance(chosen, InstanceName)
        await service.modify_instance(HERE, chosen, {"Query": ALL}, ["Query"])
        for target, changes, expected in [
            (chosen, {"Query": CHANGED}, Status.NOT_SUPPORTED),
            (name, {"SubscriptionState": 9}, Status.INVALID_PARAMETER),
            (name, {"SubscriptionDuration": 5}, Status.NOT_SUPPORTED),
        ]:
            assert await status_of(service.modify_instance(HERE, target, changes, None)) is expected
