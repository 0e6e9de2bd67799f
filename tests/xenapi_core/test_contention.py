"""Two sessions want the same thing of the same VM at the same moment: one gets it, the other hears why not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import pool_integrity
from write_load import ApiError, Connection
from xenapid_process import PASSWORD, USER, Xenapid

LATE = {"VM_BAD_POWER_STATE", "OTHER_OPERATION_IN_PROGRESS"}


@pytest.fixture
def connect() -> Iterator[Callable[[], Connection]]:
    process, opened = Xenapid(), []

    def connection() -> Connection:
        opened.append(Connection(process.url, USER, PASSWORD))
        return opened[-1]

    try:
        process.start()
        yield connection
    finally:
        for each in opened:
            each.close()
        process.close()


@pytest.mark.parametrize(
    "times",
    [
        100,
        pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
        pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_of_two_starts_at_the_same_moment_one_succeeds(connect, times):
    sessions = connect(), connect()
    judge = connect()
    vm = judge("VM.create", {"name_label": "wanted twice", "memory_static_max": str(64 << 20)})
    together = threading.Barrier(len(sessions))

    def start(session: Connection) -> str:
        together.wait(30)
        try:
            session("VM.start", vm, False, False)
        except ApiError as error:
            return error.code
        return "started"

    outcomes: Counter[tuple[str, ...]] = Counter()
    domains = set()
    with ThreadPoolExecutor(len(sessions)) as threads:
        for _ in range(times):
            outcomes[tuple(sorted(threads.map(start, sessions)))] += 1
            record = judge("VM.get_record", vm)
            assert record["power_state"] == "Running"
            domains.add(record["domid"])
            judge("VM.hard_shutdown", vm)
    assert outcomes.keys() <= {(code, "started") for code in LATE}, outcomes
    assert outcomes.total() == len(domains) == times
    assert pool_integrity.problems(judge) == []
