"""xenapid is killed at random moments while clients write: nothing acknowledged is lost, nothing is half made."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from write_load import Load
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
        assert load.verify() == [], f"after kill {kill} of seed {seed}"
    calls: Counter[str] = sum((client.ledger.calls for client in load.clients), Counter())
    assert load.acknowledged > 20 * kills
    assert calls["VM.create"]
    assert calls["VM.start"]
