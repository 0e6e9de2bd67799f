"""Guessing passwords of CIM users: slowed by user and by the client's address, before the Xen-API is asked."""

from __future__ import annotations

import pytest

from cim_provider import CimError, Principal, Status
from netserve.doors import Door
from netserve.messages import Headers, Peer, Request
from netserve.throttle import Throttle
from pycimom.http_binding import CimXmlHandler
from pycimom.statistics import Statistics


class Knows:
    """Knows everybody who has the password "right"; cannot ask about "unknowable"."""

    async def authenticate(self, user: str, password: str) -> Principal:
        if user == "unknowable":
            raise CimError(Status.FAILED, "The Xen-API does not answer.")
        if password != "right":
            raise CimError(Status.ACCESS_DENIED, "No.")
        return Principal(user)


@pytest.fixture
def ask(tools, clock):
    """Try a password from an address; return the status, and how long it took."""
    throttle = Throttle(clock=clock, sleep=clock.sleep)

    async def run(
        password: str, address: str = "192.0.2.1", user: str = "olga", throttle: Throttle = throttle
    ) -> tuple[int, float]:
        handler = CimXmlHandler(None, Knows(), "pycimom", Statistics(), throttle=throttle)
        headers = Headers((("authorization", tools.basic(user, password)),))
        begun = clock.now
        answer = await handler(Request("POST", "/cimom", headers, b"", Peer(address), Door("http")))
        return answer.status, clock.now - begun

    return run


LET_IN = 415
"""What the message gets that is none."""


async def test_each_wrong_password_makes_the_next_wait_longer(ask):
    assert [await ask("wrong") for _ in range(4)] == [(401, 0), (401, 0.25), (401, 0.5), (401, 1)]
    assert await ask("right") == (LET_IN, 2)
    assert await ask("right") == (LET_IN, 0)


async def test_others_do_not_wait(ask):
    assert await ask("right", "192.0.2.2") == (LET_IN, 0)
    for number in range(40):
        await ask("wrong", f"198.51.100.{number % 4}")
    assert await ask("right", "192.0.2.2") == (LET_IN, 0)
    assert await ask("right", "192.0.2.3", user="otto") == (LET_IN, 0)


async def test_a_xen_api_that_does_not_answer_slows_nobody(ask):
    assert [await ask("right", user="unknowable") for _ in range(5)] == [(503, 0)] * 5


async def test_too_many_attempts_are_refused(ask):
    assert await ask("right", throttle=Throttle(0)) == (503, 0)
