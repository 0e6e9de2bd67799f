"""Listeners that are slow, die half-way, hang up, or speak HTTP/1.0: nothing is lost, nothing out of order."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from indication_rig import (
    ALL,
    FULL,
    GOOD,
    HERE,
    WAIT,
    RawListener,
    Rig,
    add_destination,
    add_filter,
    answer,
    change,
    subscribe,
    subscription,
)
from pycimom.indications import DeliverySettings
from pycimom.repository import Repository

CLOSE = "Connection: close\r\n"
TAKEN = [GOOD, answer(), answer(version="1.0"), answer(more=CLOSE), GOOD.replace(b"HTTP/1.1", b"HTTP/1.0")]
"""Answers of a listener that has the indication now."""
LOST = [
    b"",
    FULL,
    answer(status="503 Busy"),
    answer(status="500 Broken", more=CLOSE),
    answer("<CIM", more=CLOSE),
    answer("x" * 400, more=CLOSE)[:150],
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n",
]
"""Answers of one that has not, or of which one cannot tell."""

INDICATIONS = 6
FAILURES = st.lists(st.sampled_from(LOST), max_size=4)
"""Before an indication is taken; the fifth failure would be the last."""


def number(body: bytes) -> int:
    return int(re.search(rb'NAME="SequenceNumber" TYPE="sint64"><VALUE>(\d+)<', body)[1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(FAILURES, st.sampled_from(TAKEN)), min_size=INDICATIONS, max_size=INDICATIONS))
def test_each_indication_comes_until_it_is_taken_and_then_the_next(
    repository: Repository, behaviour: list[tuple[list[bytes], bytes]]
):
    answers = [each for failures, taken in behaviour for each in (*failures, taken)]
    expected = [place for place, (failures, _) in enumerate(behaviour) for _ in (*failures, None)]

    async def deliver(folder: str) -> list[int]:
        rig = Rig(repository, Path(folder) / "instances.db")
        rig.pauses = lambda _: asyncio.sleep(0)
        async with RawListener(answers) as listener:
            service = await rig.start()
            await subscription(service, f"http://127.0.0.1:{listener.port}", ALL)
            for place in range(INDICATIONS):
                rig.source.emit(change(3, 2, f"vm{place}"))
            found = [number((await listener.next())[1]) for _ in answers]
            await rig.stop()
        assert rig.waiting() == []
        return found

    with tempfile.TemporaryDirectory() as folder:
        assert asyncio.run(deliver(folder)) == expected


async def test_one_that_never_answers_is_asked_again(rig: Rig):
    async with RawListener([None, None, GOOD, GOOD]) as listener:
        service = await rig.start(delivery=DeliverySettings(timeout=0.2))
        await subscription(service, f"http://127.0.0.1:{listener.port}", ALL)
        rig.source.emit(change(3, 2))
        rig.source.emit(change(2, 3))
        _, release = await rig.pauses.next()
        release.set()
        assert [number((await listener.next())[1]) for _ in range(4)] == [0, 0, 0, 1]


async def test_one_that_never_answers_delays_nobody(rig: Rig):
    async with RawListener([None]) as silent, RawListener([GOOD] * 2) as other:
        service = await rig.start(delivery=DeliverySettings(timeout=10 * WAIT))
        chosen = await add_filter(service, ALL)
        for each in (silent, other):
            await subscribe(service, chosen, await add_destination(service, f"http://127.0.0.1:{each.port}"))
        rig.source.emit(change(3, 2))
        rig.source.emit(change(2, 3))
        await silent.next()
        assert [number((await other.next())[1]) for _ in range(2)] == [0, 1]


async def test_one_that_takes_its_time_gets_everything_in_order(rig: Rig):
    async with RawListener([GOOD] * 5, pause=0.05) as listener:
        service = await rig.start()
        await subscription(service, f"http://127.0.0.1:{listener.port}", ALL)
        for place in range(5):
            rig.source.emit(change(3, 2, f"vm{place}"))
        assert [number((await listener.next())[1]) for _ in range(5)] == list(range(5))
        assert listener.connections == 1
        assert rig.pauses.begun.empty()


async def test_one_that_never_answers_can_be_deleted_at_once(rig: Rig):
    async with RawListener([None]) as silent:
        service = await rig.start(delivery=DeliverySettings(timeout=10 * WAIT))
        name = await subscription(service, f"http://127.0.0.1:{silent.port}", ALL)
        rig.source.emit(change(3, 2))
        await silent.next()
        await service.delete_instance(HERE, name)
        await service.delete_instance(HERE, name.get("Handler"))
        assert service._queues == {}
    await rig.stop()
    assert rig.waiting() == []
