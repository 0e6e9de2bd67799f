"""A machine loses its power while clients write to its xenapid: nothing acknowledged is lost, nothing is half made."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from foreign_clients import program
from guest_boot import guest_boot
from guest_xenapid import PASSWORD, USER, GuestXenapid
from write_load import Load

GUESTS = 2
"""Side by side, each with its own disk and pool: a guest is busy for most of its time with starting."""


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param(5, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(14400)]),
    ],
)
def test_what_was_acknowledged_survives_power_cuts(cuts):
    program("qemu-system-x86_64", "qemu-system-x86")
    program("mke2fs", "e2fsprogs")
    boot = guest_boot()
    seeds = [random.randrange(1_000_000) for _ in range(GUESTS)]
    with ThreadPoolExecutor(GUESTS) as threads:
        list(threads.map(lambda seed: write_and_cut(GuestXenapid(boot), cuts, seed), seeds))


def write_and_cut(guest: GuestXenapid, cuts: int, seed: int) -> None:
    moments = random.Random(seed)
    try:
        guest.start()
        load = Load(guest.url, USER, PASSWORD, clients=4, seed=seed)
        assert load.verify() == []
        for cut in range(cuts):
            load.start()
            time.sleep(moments.uniform(0.5, 6))
            guest.cut()
            load.stop()
            guest.start()
            assert load.verify() == [], f"after cut {cut} of seed {seed}"
        assert load.acknowledged > 20 * cuts
    finally:
        guest.close()
