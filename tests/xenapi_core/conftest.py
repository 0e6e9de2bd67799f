"""A simulated pool whose messages are called without a wire."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xenapi_core.classes.supervision import Supervisor
from xenapi_core.datamodel import POOL_ADMIN, Call, Caller, Datamodel, HypervisorOf, Record
from xenapi_core.hypervisors.fleet import Fleet, simulated_fleet
from xenapi_core.hypervisors.simulated import SimulatedHypervisor, Timings
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import Store


@dataclass
class Task:
    """A call's task that nobody looks at."""

    ref: str = field(default_factory=lambda: f"OpaqueRef:{uuid.uuid4()}")

    def progress(self, fraction: float) -> None:
        """Tell how much is done."""


class SimulatedPool:
    """A store, what runs its VMs, and calls of messages by name."""

    def __init__(self, store: Store, timings: Timings) -> None:
        self.store = store
        self.model = store.model
        self.fleet: Fleet = simulated_fleet(store, timings)
        self.supervisor = Supervisor(store, self.fleet)
        self.supervisor.start()

    def call(self) -> Call:
        services = {Datamodel: self.model, HypervisorOf: HypervisorOf(self.fleet.__getitem__)}
        return Call("", Caller("root", POOL_ADMIN), Task(), self.store, services)

    async def do(self, message: str, *arguments: Any) -> Any:
        """Call a message with arguments in their stored form."""
        outcome = self.model.messages[message].function(self.call(), *arguments)
        return await outcome if inspect.isawaitable(outcome) else outcome

    def record(self, ref: str) -> Record:
        return self.store.record(ref)

    def vms(self, state: str = "") -> list[Record]:
        """Return the VMs that are neither templates nor control domains, those in a power state if one is named."""
        every = (vm for vm in self.store.records("VM") if not vm["is_a_template"] and not vm["is_control_domain"])
        return [vm for vm in every if not state or vm["power_state"] == state]

    def vm(self, state: str) -> str:
        """Return the reference to a VM in a power state."""
        return self.vms(state)[0].ref

    def hypervisor(self, vm: str) -> SimulatedHypervisor:
        """Return what runs a VM."""
        found = self.fleet[self.record(vm)["resident_on"]]
        assert isinstance(found, SimulatedHypervisor)
        return found

    def update(self, ref: str, **fields: Any) -> None:
        with self.store.write() as change:
            change.update(ref, **fields)


MakePool = Callable[..., SimulatedPool]


@pytest.fixture(scope="session")
def datamodel() -> Datamodel:
    """All classes of the API."""
    return Datamodel.load()


@pytest.fixture
def make_pool(datamodel: Datamodel) -> Iterator[MakePool]:
    """Make simulated pools: ``make_pool(path=None, timings=Timings().scaled(0), hosts=..., vms=..., seed=...)``."""
    stores: list[Store] = []

    def make(path: Path | None = None, timings: Timings | None = None, **overrides: int) -> SimulatedPool:
        store = Store(datamodel, path)
        stores.append(store)
        populate(store, load(**overrides))
        return SimulatedPool(store, timings or Timings().scaled(0))

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def pool(make_pool: MakePool) -> SimulatedPool:
    """The pool of the built-in scenario."""
    return make_pool()
