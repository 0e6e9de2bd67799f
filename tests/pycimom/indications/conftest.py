"""What tests of indications share; indication_rig.py says what a rig is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from indication_rig import STOPPING, Listener, Rig
from pycimom.repository import Repository


@pytest.fixture
async def rig(repository: Repository, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(repository, tmp_path / "instances.db")
    yield rig
    await rig.stop()


@pytest.fixture(scope="session")
def listeners_stop() -> Iterator[None]:
    """Wait at the end until the last listener has stopped."""
    yield
    STOPPING.shutdown()


@pytest.fixture
async def listen(listeners_stop: None) -> AsyncIterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(port: int | None = None) -> Listener:
        listeners.append(Listener(port))
        return listeners[-1]

    yield start
    for each in listeners:
        each.stop()
