"""Allowed hosts: by address, by a name that resolves back, and what a stranger's name cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netserve import hosts
from netserve.doors import Door
from netserve.hosts import AllowedHosts, compiled, verified_names
from netserve.server import DoorError, HttpServer

NAMES = {"192.0.2.1": ["localhost", "a.example.com"], "192.0.2.2": ["A.EXAMPLE.COM"], "192.0.2.3": []}
ISSUE = (r"^localhost$", r"example\.com$")
"""The expressions of the example in xend's manual."""


@pytest.mark.parametrize(
    ("expressions", "address", "admitted"),
    [
        (ISSUE, "192.0.2.1", True),
        (ISSUE, "192.0.2.2", True),
        (ISSUE, "192.0.2.3", False),
        ((r"^192\.0\.2\.",), "192.0.2.3", True),
        ((r"^192\.0\.2\.",), "198.51.100.1", False),
        (("example",), "192.0.2.1", True),
        (("^example",), "192.0.2.1", False),
    ],
)
async def test_expressions_are_searched_in_address_and_names(expressions, address, admitted):
    allowed = AllowedHosts(expressions, lambda address: NAMES.get(address, []))
    assert await allowed.admit(address) is admitted


async def test_an_answer_is_remembered_for_a_while():
    now, asked = [0.0], []

    def lookup(address):
        asked.append(address)
        return ["a.example.com"]

    allowed = AllowedHosts(ISSUE, lookup, lambda: now[0])
    for _ in range(3):
        assert await allowed.admit("192.0.2.9")
    assert asked == ["192.0.2.9"]
    now[0] += hosts.REMEMBERED
    assert await allowed.admit("192.0.2.9")
    assert asked == ["192.0.2.9"] * 2


async def test_a_flood_from_one_address_is_one_lookup_and_many_addresses_are_bounded(monkeypatch):
    monkeypatch.setattr(hosts, "WAITING", 2)
    begun, go_on, asked = threading.Event(), threading.Event(), []

    def lookup(address):
        asked.append(address)
        begun.set()
        go_on.wait(10)
        return ["localhost"]

    allowed = AllowedHosts(ISSUE, lookup)
    first = [asyncio.create_task(allowed.admit(f"192.0.2.{number % 2}")) for number in range(100)]
    await asyncio.to_thread(begun.wait)
    assert await allowed.admit("192.0.2.200") is False
    go_on.set()
    assert await asyncio.gather(*first) == [True] * 100
    assert sorted(asked) == ["192.0.2.0", "192.0.2.1"]


async def test_whoever_cannot_be_looked_up_in_time_is_refused(monkeypatch):
    monkeypatch.setattr(hosts, "LOOKUP_LIMIT", 0.01)
    go_on = threading.Event()
    allowed = AllowedHosts(ISSUE, lambda address: ["localhost"] * go_on.wait(10))
    assert await allowed.admit("192.0.2.1") is False
    go_on.set()


async def test_an_expression_that_takes_for_ever_on_a_name_stalls_nobody():
    allowed = AllowedHosts(["^(a|aa)+$"], lambda address: ["a" * 200 + "!"])
    judging = asyncio.create_task(allowed.admit("192.0.2.1"))
    steps = 0
    while not judging.done():
        await asyncio.sleep(0.001)
        steps += 1
    assert judging.result() is False
    assert steps > 1


def resolving(monkeypatch, names, addresses):
    monkeypatch.setattr(socket, "gethostbyaddr", lambda address: (names[0], names[1:], [address]))

    def getaddrinfo(name, *_, **__):
        if name not in addresses:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, 1, 6, "", (each, 0)) for each in addresses[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_counts_only_if_it_resolves_back(monkeypatch):
    """Whoever owns an address may name it localhost; localhost does not say that it is that address."""
    addresses = {"localhost": ["127.0.0.1"], "real.example.com": ["192.0.2.1", "192.0.2.5"]}
    resolving(monkeypatch, ["localhost", "gone.example.com"], addresses)
    assert verified_names("192.0.2.5") == []
    resolving(monkeypatch, ["localhost", "gone.example.com", "real.example.com."], addresses)
    assert verified_names("192.0.2.5") == ["real.example.com"]


def test_a_name_that_is_too_long_counts_for_nothing(monkeypatch):
    long = "a" * 300
    resolving(monkeypatch, [long], {long: ["192.0.2.1"]})
    assert verified_names("192.0.2.1") == []


def test_this_machine_has_a_name():
    if "127.0.0.1" not in {each[4][0] for each in socket.getaddrinfo("localhost", None)}:
        pytest.skip("localhost is not 127.0.0.1 here")
    assert "localhost" in verified_names("127.0.0.1")


@given(st.text(max_size=600))
def test_an_expression_is_compiled_or_refused(text):
    with contextlib.suppress(ValueError):
        compiled(text)


@given(st.text("abc.-", max_size=20), st.text("abc.-", max_size=10))
def test_a_literal_is_found_where_it_stands(text, part):
    assert bool(compiled(re.escape(part)).search(text)) is (part in text)


async def test_a_refused_host_hears_nothing(serve, dial, tls):
    server = await serve(
        doors=[
            Door("named", allowed_hosts=(r"^localhost$", r"^127\.0\.0\.1$")),
            Door("others", allowed_hosts=(r"^192\.0\.2\.",)),
            Door("tls", tls=tls, allowed_hosts=(r"^192\.0\.2\.",)),
        ]
    )
    named, others, secure = server.doors
    raw = await dial(named)
    raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (await raw.response())[0] == 200
    for door in (others, secure):
        raw = await dial(door)
        assert await raw.rest() == b""


async def test_a_bad_expression_opens_no_door():
    with pytest.raises(DoorError, match="allowed hosts"):
        await HttpServer(None, [Door("http", allowed_hosts=("(",))]).start()
