"""A simulated pool whose messages are called without a wire, and the API on it without a network."""

from __future__ import annotations

import inspect
import time
import uuid
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netserve.doors import Door
from netserve.messages import Headers, Peer, Request, Response
from netserve.throttle import Throttle
from xenapi_core.access.local import LocalUsers
from xenapi_core.access.sessions import LOCAL, Sessions
from xenapi_core.classes import role
from xenapi_core.classes.data_sources import Recorder
from xenapi_core.classes.event import Registrations
from xenapi_core.classes.sampling import Sampler
from xenapi_core.classes.supervision import Supervisor
from xenapi_core.classes.task import Tasks
from xenapi_core.datamodel import POOL_ADMIN, Call, Caller, Datamodel, HypervisorOf, Record
from xenapi_core.hypervisors.fleet import Fleet, simulated_fleet
from xenapi_core.hypervisors.simulated import SimulatedHypervisor, Timings
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import Store
from xenapi_core.wire import jsonrpc
from xenapi_core.wire.dispatch import Dispatcher
from xenapi_core.wire.http import XenApiHandler
from xenapi_core.wire.xmlrpc import Encoder


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
        self.now: float | None = None
        """What the clock of measurements shows, None for the time of day."""
        self.fleet: Fleet = simulated_fleet(store, timings, self.clock)
        self.supervisor = Supervisor(store, self.fleet)
        self.supervisor.start()
        self.sampler = Sampler(store, self.fleet, self.clock)
        store.measure = self.sampler.samples
        self.recorder = Recorder(store, self.sampler)

    def clock(self) -> float:
        return time.time() if self.now is None else self.now

    def call(self) -> Call:
        services = {
            Datamodel: self.model,
            HypervisorOf: HypervisorOf(self.fleet.__getitem__),
            Sampler: self.sampler,
            Recorder: self.recorder,
        }
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
        role.establish(store, datamodel)
        populate(store, load(**overrides))
        return SimulatedPool(store, timings or Timings().scaled(0))

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def pool(make_pool: MakePool) -> SimulatedPool:
    """The pool of the built-in scenario."""
    return make_pool()


@dataclass
class Api:
    """The whole API as its handler serves it, without a network."""

    store: Store
    users: LocalUsers | None = None
    throttle: Throttle | None = None
    clock: Callable[[], float] = time.monotonic
    door: Door = field(default_factory=lambda: Door("test", authentication="none"))
    peer: Peer = field(default_factory=lambda: Peer("127.0.0.1"))
    headers: Headers = field(default_factory=Headers)
    session: str = ""

    def __post_init__(self) -> None:
        self.encoder = Encoder(self.store.samples)
        self.sessions = Sessions({LOCAL: self.users} if self.users else {}, self.throttle, self.clock)
        self.tasks = Tasks(self.store, self.encoder.text)
        self.services: dict[type, Any] = {
            Datamodel: self.store.model,
            Store: self.store,
            Sessions: self.sessions,
            Tasks: self.tasks,
            Registrations: Registrations(),
        }
        self.dispatcher = Dispatcher(self.store.model, self.store, self.services)
        self.handler = XenApiHandler(self.dispatcher, self.encoder, jsonrpc.Encoder(self.store.samples))

    async def post(self, body: bytes, method: str = "POST", path: str = "/any/path") -> Response:
        return await self.handler(Request(method, path, self.headers, body, self.peer, self.door))

    async def send(self, method: str, *parameters: Any) -> Any:
        """Send a call as Python's xmlrpc.client writes it, and return what that reads from the answer."""
        response = await self.post(xmlrpc.client.dumps(parameters, method, allow_none=True).encode())
        assert response.status == 200
        (answer,), _ = xmlrpc.client.loads(b"".join(response.body))
        return answer

    async def call(self, method: str, *parameters: Any) -> Any:
        """Send a call that succeeds, and return its value."""
        answer = await self.send(method, *parameters)
        assert list(answer) == ["Status", "Value"], answer
        assert answer["Status"] == "Success"
        return answer["Value"]

    async def error(self, method: str, *parameters: Any) -> list[str]:
        """Send a call that fails, and return the error's code and parameters."""
        answer = await self.send(method, *parameters)
        assert list(answer) == ["Status", "ErrorDescription"], answer
        assert answer["Status"] == "Failure"
        return list(answer["ErrorDescription"])

    async def do(self, method: str, *parameters: Any) -> Any:
        """Send a call of the session that ``login`` began."""
        return await self.call(method, self.session, *parameters)

    async def fails(self, method: str, *parameters: Any) -> list[str]:
        """Send a call of the session that ``login`` began, which fails; return the error's code and parameters."""
        return await self.error(method, self.session, *parameters)

    async def login(self, user: str = "root", password: str = "") -> str:
        self.session = await self.call("session.login_with_password", user, password)
        return self.session


MakeApi = Callable[..., Api]


@pytest.fixture
def make_api() -> MakeApi:
    """Serve the API on a pool; VMs can be started."""

    def make(pool: SimulatedPool) -> Api:
        served = Api(pool.store)
        served.services[HypervisorOf] = HypervisorOf(pool.fleet.__getitem__)
        served.services[Sampler] = pool.sampler
        served.services[Recorder] = pool.recorder
        return served

    return make


@pytest.fixture
def api(pool: SimulatedPool, make_api: MakeApi) -> Api:
    """The API on the pool of the built-in scenario."""
    return make_api(pool)
