"""Guessing passwords: slowed by user, by address and by both, refused where too many wait, and nobody else kept out."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netserve import throttle as module
from netserve.throttle import (
    ADDRESS,
    FORGOTTEN_AFTER,
    FREE,
    LONGEST_QUEUE,
    USER,
    Throttle,
    TooManyAttemptsError,
)

LONGEST = 5.0


@pytest.fixture
def throttle(clock):
    return Throttle(clock=clock, sleep=clock.sleep)


async def attempt(throttle: Throttle, user: str, address: str, succeeded: bool = False) -> None:
    async with throttle.attempt(user, address) as begun:
        begun.succeeded = succeeded


async def waited(throttle: Throttle, clock, user: str, address: str, succeeded: bool = False) -> float:
    """Make an attempt and return how long it had to wait."""
    begun = clock.now
    await attempt(throttle, user, address, succeeded)
    return clock.now - begun


async def test_each_failure_doubles_the_delay_up_to_the_longest(throttle, clock):
    waits = [await waited(throttle, clock, "root", "192.0.2.1") for _ in range(8)]
    assert waits == [0, 0.25, 0.5, 1, 2, 4, LONGEST, LONGEST]


async def test_a_success_forgets_them_as_time_does(throttle, clock):
    for _ in range(5):
        await attempt(throttle, "root", "192.0.2.1")
    await attempt(throttle, "root", "192.0.2.1", succeeded=True)
    await attempt(throttle, "root", "192.0.2.1")
    assert await waited(throttle, clock, "root", "192.0.2.1") == 0.25
    clock.now += FORGOTTEN_AFTER + LONGEST + 1
    assert await waited(throttle, clock, "root", "192.0.2.1") == 0


async def test_one_user_from_many_addresses_gets_slower(throttle, clock):
    for number in range(FREE[USER]):
        assert await waited(throttle, clock, "root", f"192.0.2.{number}") == 0
    waits = [await waited(throttle, clock, "root", f"198.51.100.{number}") for number in range(8)]
    assert waits == [0, 0.25, 0.5, 1, 2, 4, LONGEST, LONGEST]
    assert await waited(throttle, clock, "other", "198.51.100.1") == 0


async def test_many_users_from_one_address_get_slower(throttle, clock):
    for number in range(FREE[ADDRESS]):
        assert await waited(throttle, clock, f"user{number}", "192.0.2.1") == 0
    waits = [await waited(throttle, clock, f"other{number}", "192.0.2.1") for number in range(8)]
    assert waits == [0, 0.25, 0.5, 1, 2, 4, LONGEST, LONGEST]
    assert await waited(throttle, clock, "user1", "192.0.2.2") == 0


async def test_the_addresses_of_one_network_are_one(throttle, clock):
    for number in range(FREE[ADDRESS] + 1):
        await attempt(throttle, f"user{number}", f"2001:db8::{number + 1:x}")
    assert await waited(throttle, clock, "other", "2001:db8::ffff:1") == 0.25
    assert await waited(throttle, clock, "other", "2001:db8:0:1::1") == 0
    assert await waited(throttle, clock, "another", "fe80::1%eth0") == 0


async def test_a_user_written_in_another_way_is_the_same(throttle, clock):
    await attempt(throttle, "root", "192.0.2.1")
    assert await waited(throttle, clock, "ROOT", "192.0.2.1") == 0.25


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_stands_for_many(throttle, clock, address):
    for number in range(2 * FREE[ADDRESS]):
        assert await waited(throttle, clock, f"user{number}", address) == 0
    assert await waited(throttle, clock, "user0", address) == 0.25


async def test_guessers_cannot_keep_out_who_was_in_before(throttle, clock):
    await attempt(throttle, "root", "192.0.2.1", succeeded=True)
    for number in range(60):
        await attempt(throttle, "root", f"198.51.100.{number}")
        await attempt(throttle, f"user{number}", "192.0.2.1")
    assert await waited(throttle, clock, "root", "192.0.2.1", succeeded=True) == 0
    assert await waited(throttle, clock, "root", "198.51.100.99") >= LONGEST


async def test_an_attempt_that_breaks_off_counts_as_a_failure(throttle, clock):
    with pytest.raises(RuntimeError):
        async with throttle.attempt("root", "192.0.2.1"):
            raise RuntimeError
    assert await waited(throttle, clock, "root", "192.0.2.1") == 0.25


async def test_what_nobody_could_decide_counts_as_nothing(throttle, clock):
    await attempt(throttle, "root", "192.0.2.1")
    async with throttle.attempt("root", "192.0.2.1") as begun:
        begun.undecided = True
    assert await waited(throttle, clock, "root", "192.0.2.1") <= 0.25
    assert await waited(throttle, clock, "root", "192.0.2.1") == 0.5


async def test_many_guesses_at_once_do_not_go_faster():
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    throttle = Throttle(clock=lambda: 0.0, sleep=sleep)
    await attempt(throttle, "root", "192.0.2.1")
    done = await asyncio.gather(*(attempt(throttle, "root", "192.0.2.1") for _ in range(300)), return_exceptions=True)
    assert waits == sorted(waits)
    assert waits[-1] <= LONGEST_QUEUE
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(waits))
    assert any(isinstance(each, TooManyAttemptsError) for each in done)


async def test_only_so_many_wait_at_a_time(clock):
    throttle = Throttle(3, clock=clock, sleep=clock.sleep)
    done, checking = asyncio.Event(), []

    async def slow(number: int) -> None:
        async with throttle.attempt(f"user{number}", "") as begun:
            checking.append(number)
            await done.wait()
            begun.succeeded = True

    three = [asyncio.create_task(slow(number)) for number in range(3)]
    while len(checking) < 3:
        await asyncio.sleep(0)
    with pytest.raises(TooManyAttemptsError):
        await slow(3)
    done.set()
    await asyncio.gather(*three, slow(4))
    assert checking == [0, 1, 2, 4]


async def test_what_is_remembered_is_bounded(throttle, clock, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 50)
    for number in range(200):
        await attempt(throttle, f"user{number}", "")
    assert len(throttle._records) == 50


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["", "192.0.2.1", "2001:db8::1"]), st.booleans()), max_size=40
    )
)
async def test_no_attempt_waits_longer_than_the_queue(attempts):
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        assert 0 < seconds <= LONGEST_QUEUE
        now += seconds

    throttle = Throttle(clock=lambda: now, sleep=sleep)
    for user, address, succeeded in attempts:
        await attempt(throttle, user, address, succeeded)
    assert throttle.under_way == 0
