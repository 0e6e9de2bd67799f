"""xenapid is killed at random moments while clients write: nothing acknowledged is lost, nothing is half made."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from write_load import Connection, Load
from xenapid_process import PASSWORD, USER, Xenapid


@pytest.fixture
def xenapid() -> Iterator[Xenapid]:
    process = Xenapid()
    try:
        process.start()
        yield process
    finally:
        process.close()


@pytest.mark.parametrize(
    "kills",
    [
        3,
        pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
        pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_what_was_acknowledged_survives_kills(xenapid, kills):
    seed = random.randrange(1_000_000)
    moments = random.Random(seed)
    load = Load(xenapid.url, USER, PASSWORD, clients=5, seed=seed)
    assert load.verify() == []
    for kill in range(kills):
        load.start()
        time.sleep(moments.uniform(0.02, 1.5))
        xenapid.kill()
        load.stop()
        xenapid.start()
        if not kill % 3:  # and once more, while it finishes and undoes
            time.sleep(moments.uniform(0.0, 0.05))
            xenapid.kill()
            xenapid.start()
        assert load.verify() == [], f"after kill {kill} of seed {seed}"
    calls: Counter[str] = sum((client.ledger.calls for client in load.clients), Counter())
    assert load.acknowledged > 20 * kills
    assert calls["VM.create"]
    assert calls["VM.start"]


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_first_start_that_is_killed_leaves_no_half_of_a_pool(kills):
    moments = random.Random(7)
    for _ in range(kills):
        xenapid = Xenapid(options=("--vms", "100"))
        try:
            with (xenapid.folder / "log").open("wb") as log:
                starting = subprocess.Popen(xenapid.command(), stdout=subprocess.DEVNULL, stderr=log)
            deadline = time.monotonic() + 30
            while not any(xenapid.state.glob("*.new")) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(moments.uniform(0.0, 0.4))
            starting.kill()
            starting.wait()
            xenapid.start()
            load = Load(xenapid.url, USER, PASSWORD, clients=1)
            assert load.verify() == []
            call = Connection(xenapid.url, USER, PASSWORD)
            records = call("VM.get_all_records").values()
            assert sum(not vm["is_a_template"] and not vm["is_control_domain"] for vm in records) == 100
            call.close()
        finally:
            xenapid.close()
