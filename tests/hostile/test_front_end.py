"""Whatever strangers send to either server: it is refused, costs little memory, and others hardly notice."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

import pytest

from strangers import INPUTS, JSON, LIMIT, MIB, Server, again_and_again, exchange, refused, times

HOSTILE = {**INPUTS, **JSON}
CASES = [(name, what) for name in ("xenapid", "pycimom") for what in (HOSTILE if name == "xenapid" else INPUTS)]
BOTH = pytest.mark.parametrize("name", ["xenapid", "pycimom"])
MEMORY = 64 * MIB
"""What strangers may cost."""
NOTICEABLE = 2
"""How many times as long as usual others may wait."""


@pytest.mark.parametrize(("name", "what"), CASES)
def test_refused_and_forgotten(server: Server, what: str):
    server.forget_memory()
    before = server.memory
    answer = exchange(server.address, HOSTILE[what](server))
    assert refused(answer), answer[:500]
    assert b"root:" not in answer
    assert server.memory - before < MEMORY
    assert server.errors() == []
    assert server.right in exchange(server.address, server.post(server.ordinary))


def assert_hardly_noticed(
    ask: Callable[[], list[float]],
    usual: Callable[[], AbstractContextManager[object]],
    hostile: Callable[[], AbstractContextManager[object]],
) -> None:
    """Compare what others wait for in one and the other company, in turn. What else runs here disturbs some turns."""
    ratios: list[float] = []
    while len(ratios) < 3 or (median(ratios) >= NOTICEABLE and len(ratios) < 15):
        with usual():
            before = median(ask())
        with hostile():
            ratios.append(median(ask()) / before)
    assert median(ratios) < NOTICEABLE, ratios


@pytest.mark.slow
@pytest.mark.parametrize(("name", "what"), CASES)
def test_others_are_served_meanwhile(server: Server, what: str):
    """It takes them no longer than twice what it takes them beside another ordinary client that never pauses."""
    made = HOSTILE[what](server)
    whole = made if isinstance(made, list) else None  # what is endless is used up each time

    def ordinary() -> bytes:
        return exchange(server.address, server.post(server.ordinary))

    def hostile() -> bytes:
        return exchange(server.address, whole or HOSTILE[what](server))

    assert_hardly_noticed(
        lambda: times(server, 20), lambda: again_and_again(ordinary), lambda: again_and_again(hostile)
    )


@contextlib.contextmanager
def connected(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections from as many addresses as it takes to have them at the same time, if the server lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"one process may not have {count} connections here (ulimit -Hn: {hard})")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        found = []
        for number in range(count):
            source = (f"127.0.0.{2 + number // 400}", 0)
            found.append(stack.enter_context(socket.create_connection(server.address, LIMIT, source)))
        times(server, 1, anew=True)  # the server knows of all of them once it has answered the last who came
        yield found


@contextlib.contextmanager
def dripping(server: Server, count: int) -> Iterator[None]:
    """Connections on which something comes again and again, until the server has cut them all."""
    with connected(server, count) as senders:
        for each in senders:
            each.send(server.head("Content-Length: 1000000") + b"\r\n")
            each.setblocking(False)
        uncut = list(senders)

        def drip() -> None:
            deadline = time.monotonic() + LIMIT
            while uncut and time.monotonic() < deadline:
                uncut[:] = [each for each in uncut if goes_on(each)]
                time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        yield
        thread.join()
        assert uncut == []
        assert {each.recv(12) for each in senders} == {b"HTTP/1.1 408"}


def goes_on(sender: socket.socket) -> bool:
    """Send a little more; return whether there was no answer yet."""
    with contextlib.suppress(ConnectionError):
        sender.send(b"x")
    try:
        return not sender.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True


@pytest.mark.slow
@BOTH
def test_five_thousand_connections_that_idle(server: Server):
    server.forget_memory()
    before = server.memory
    held = []

    def ask() -> list[float]:
        held.append(len(list(Path(f"/proc/{server.daemon.process.pid}/fd").iterdir())))
        return times(server, 50, anew=True)

    assert_hardly_noticed(ask, contextlib.nullcontext, lambda: connected(server, 5000))
    assert 500 < max(held) < 1024 + 100
    assert server.memory - before < MEMORY
    assert server.errors() == []


@pytest.mark.slow
@BOTH
def test_slow_senders(server: Server):
    server.forget_memory()
    before = server.memory
    assert_hardly_noticed(lambda: times(server, 50), contextlib.nullcontext, lambda: dripping(server, 300))
    assert server.memory - before < MEMORY
    assert server.errors() == []
