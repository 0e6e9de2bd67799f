"""What waits for a listener outlives the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from indication_rig import (
    ALL,
    HERE,
    WAIT,
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


class TestBacklog:
    async def test_what_waited_is_delivered_by_the_next_run_before_what_comes_then(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service, port = await rig.start(), free_port()
        await subscription(service, f"http://127.0.0.1:{port}", ALL)
        for number in range(5):
            rig.source.emit(change(3, 2, f"vm{number}"))
        await rig.pauses.next()  # the listener is not there
        await rig.crash()
        await rig.start()
        rig.source.emit(change(3, 2, "vm5"))
        _, release = await rig.pauses.next()
        listener = listen(port)
        release.set()
        found = [await listener.next() for _ in range(6)]
        assert [each["IndicationIdentifier"] for each in found] == [f"vm{number} 3 2" for number in range(6)]
        assert [each["SequenceNumber"] for each in found] == [0, 1, 2, 3, 4, 0]
        contexts = [each["SequenceContext"] for each in found]
        assert len(set(contexts[:5])) == 1
        assert contexts[5] != contexts[0]

    async def test_what_was_delivered_is_gone_and_so_is_what_was_given_up(
        self, rig: Rig, listen: Callable[..., Listener]
    ):
        service = await rig.start(delivery=DeliverySettings(retry_attempts=0, timeout=5))
        listener, dead = listen(), free_port()
        chosen = await add_filter(service, ALL)
        await subscribe(service, chosen, await add_destination(service, listener.url))
        await subscribe(service, chosen, await add_destination(service, f"http://127.0.0.1:{dead}"))
        for number in range(3):
            rig.source.emit(change(3, 2, f"vm{number}"))
        for _ in range(3):
            await listener.next()
        async with asyncio.timeout(WAIT):
            while any(queue._waiting for queue in service._queues.values()):
                await asyncio.sleep(0.01)
        await rig.stop()
        assert rig.waiting() == []

    async def test_a_destination_that_is_deleted_takes_along_what_waits_for_it(self, rig: Rig):
        service = await rig.start()
        name = await subscription(service, f"http://127.0.0.1:{free_port()}", ALL)
        rig.source.emit(change(3, 2))
        await rig.pauses.next()
        await service.delete_instance(HERE, name)
        await service.delete_instance(HERE, name.get("Handler"))
        await rig.stop()
        assert rig.waiting() == []

    async def test_what_waits_for_a_destination_that_is_gone_is_forgotten(self, rig: Rig):
        service = await rig.start()
        await subscription(service, f"http://127.0.0.1:{free_port()}", ALL)
        rig.source.emit(change(3, 2))
        await rig.pauses.next()
        await rig.stop()
        assert [row[2].count("vm1") > 0 for row in rig.waiting()] == [True]
        rig.edit("delete from instance where identity like '%listenerdestination%' or identity like '%subscription%'")
        await rig.start()
        await rig.stop()
        assert rig.waiting() == []
