"""Fixtures shared by all tests: a bridge started as a user starts it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge_process import Bridge, run_bridge, short_folder
from clock import Clock

# requests, and with it pywbem, would trust these instead of the certificate that a test names.
for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(variable, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden records of the wire anew")


@pytest.fixture
def clock() -> Clock:
    """A clock that only sleeping moves."""
    return Clock()


@pytest.fixture
def start_bridge() -> Iterator[Callable[..., Bridge]]:
    """Start bridges on folders of their own, or on the folder given; all are stopped at the end of the test."""
    started: list[Bridge] = []
    folders: list[Path] = []

    def start(state: Path | None = None, **settings: str) -> Bridge:
        if state is None:
            state = short_folder()
            folders.append(state)
        started.append(run_bridge(state, **settings))
        return started[-1]

    yield start
    for bridge in started:
        bridge.stop()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bridge() -> Iterator[Bridge]:
    """One bridge for all tests that leave its virtual machines as they found them, or use one of their own."""
    folder = short_folder()
    running = run_bridge(folder, XEN_CIM_VMS="24", XEN_CIM_SEED="7")
    try:
        yield running
        assert running.process.poll() is None, "the bridge died under the tests"
        assert running.stop() == 0
    finally:
        if running.process.poll() is None:
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)
