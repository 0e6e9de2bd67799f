"""The Xen-API server: a pool behind doors."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from netserve.doors import Door
from netserve.files import make_folder
from netserve.messages import Handler, Request, Response
from netserve.origins import ANY, is_origin
from netserve.server import HttpServer
from netserve.throttle import Throttle
from xenapi_core.access.local import LocalUsers
from xenapi_core.access.pam import Pam, PamUsers
from xenapi_core.access.sessions import AUTHENTICATIONS, LOCAL, NONE, PAM, PEER, Sessions
from xenapi_core.classes import message, role
from xenapi_core.classes.data_sources import Recorder
from xenapi_core.classes.event import Registrations
from xenapi_core.classes.host_failure import HostFailures
from xenapi_core.classes.sampling import Sampler
from xenapi_core.classes.supervision import Supervisor
from xenapi_core.classes.task import Tasks
from xenapi_core.datamodel import Datamodel, HypervisorOf
from xenapi_core.hypervisors.fleet import simulated_fleet
from xenapi_core.limits import DEFAULT, Limits
from xenapi_core.metrics import METRICS, Metrics, file_sizes
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import JOURNAL, JournalError, Store
from xenapi_core.wire import jsonrpc, rrd, xmlrpc
from xenapi_core.wire.dispatch import Dispatcher
from xenapi_core.wire.http import XenApiHandler

log = structlog.get_logger(__name__)

HOUSEKEEPING = 60.0
"""Seconds between looking for sessions and tasks that are too old."""

GRACE = 5.0
"""Seconds that calls under way get to end when the server stops."""


class SettingsError(ValueError):
    """Settings that cannot be. The text is a sentence for people."""


@dataclass(frozen=True)
class Settings:
    """What a server is to be like."""

    state: Path
    """Folder of the journal; made if it is not there."""
    doors: Sequence[Door]
    """Where it listens. Their ``authentication``: "local" (the users file), "pam" (the system's users), "peer" (a unix
    socket: root and the server's own user are let in without a password), "none" (everybody, on loopback only), or
    "metrics": instead of the API there are metrics for Prometheus."""
    users: Path
    """The users file (``xenapi_core.access.local``)."""
    pam: Pam = field(default_factory=Pam)
    """How the system's users are let in."""
    scenario: Path | None = None
    """What the simulated pool is like at the first start; None: the built-in one."""
    hosts: int | None = None
    """Number of hosts, instead of the scenario's."""
    vms: int | None = None
    """Number of VMs, instead of the scenario's."""
    seed: int | None = None
    """What the simulated pool's uuids and addresses are made from, instead of the scenario's."""
    limits: Limits = DEFAULT
    """What calls may be like, and how many may be under way."""


class XenApiServer:
    """A Xen-API server in the running event loop."""

    def __init__(self, settings: Settings) -> None:
        """SettingsError if the settings cannot be."""
        for door in settings.doors:
            _check(door)
        self.settings = settings
        self._pam = PamUsers(settings.pam)
        self._failure: asyncio.Future[JournalError] | None = None
        self._running: contextlib.AsyncExitStack | None = None
        self._http: HttpServer | None = None
        self._count: Callable[[Sequence[Door]], None] = lambda doors: None

    @property
    def doors(self) -> Sequence[Door]:
        """The open doors, with the ports that were found where 0 was asked for."""
        return self._http.doors if self._http else ()

    async def start(self) -> None:
        """Open the journal, make the pool at the first start, and open the doors.

        Raises JournalError, UsersFileError, ScenarioError or DoorError, each a sentence for people, with all closed.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._running = stack.pop_all()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        settings = self.settings
        model = Datamodel.load()
        self._failure = asyncio.get_running_loop().create_future()
        with _without_collection():
            store = await asyncio.to_thread(_open_store, settings, model)
        stack.push_async_callback(_close_store, store)
        store.on_failure = self._fail
        users = await asyncio.to_thread(LocalUsers, settings.users)

        fleet = simulated_fleet(store)
        supervisor = Supervisor(store, fleet)
        supervisor.start()
        stack.push_async_callback(_stop_supervisor, supervisor)
        failures = HostFailures(store, fleet)
        failures.start()
        stack.callback(failures.stop)

        sampler = Sampler(store, fleet)
        store.measure = sampler.samples
        recorder = Recorder(store, sampler)
        stack.callback(recorder.stop)
        encoder = xmlrpc.Encoder(store.samples)
        limits = settings.limits
        throttle = Throttle(limits.waiting_logins, limits.failure_delay, limits.longest_failure_delay)
        sessions = Sessions({LOCAL: users, PAM: self._pam}, throttle, limits=limits)
        tasks = Tasks(store, encoder.text, settings.limits)
        services = {
            Datamodel: model,
            Store: store,
            Sessions: sessions,
            Tasks: tasks,
            Registrations: Registrations(settings.limits),
            HypervisorOf: HypervisorOf(fleet.__getitem__),
            Sampler: sampler,
            Recorder: recorder,
        }
        dispatcher = Dispatcher(model, store, services)
        stack.push_async_callback(dispatcher.stop, GRACE)
        stack.push_async_callback(tasks.stop)

        housekeeping = asyncio.create_task(_keep_house(sessions, tasks, store))
        stack.callback(housekeeping.cancel)

        handler = XenApiHandler(dispatcher, encoder, jsonrpc.Encoder(store.samples), settings.limits)
        handler.downloads[rrd.PATH] = rrd.RrdUpdates(store, recorder, sessions)
        metrics = Metrics(dispatcher.described)
        http = HttpServer(_by_door(handler, metrics), settings.doors)
        _show(metrics, services, handler, throttle, http)
        metrics.gauge(
            "xenapi_journal_bytes",
            "Size of the journal's files.",
            "file",
            partial(file_sizes, settings.state / JOURNAL),
        )

        def count(doors: Sequence[Door]) -> None:
            """Count while somebody can ask for it."""
            counting = any(door.authentication == METRICS for door in doors)
            handler.observer = metrics if counting else None
            store.on_written = metrics.written if counting else lambda _: None

        self._count = count
        count(settings.doors)
        await http.start()
        self._http = http
        stack.push_async_callback(_close, http, sessions)
        self._tell_of_pam(settings.doors)
        log.info("xen_api_open", doors=[door.url for door in http.doors], objects=len(store.durable))

    async def reopen(self, doors: Sequence[Door]) -> None:
        """Open and close doors until there are just these; a door that stays the same keeps its connections.

        SettingsError if one cannot be, DoorError if one cannot be opened; then all is as it was before.
        """
        for door in doors:
            _check(door)
        if self._http is not None:
            await self._http.reconfigure(doors, GRACE)
            self._count(doors)
            self._tell_of_pam(doors)

    async def failed(self) -> JournalError:
        """Wait until the server can no longer go on, and return why: the journal cannot be written."""
        if self._failure is None:
            raise RuntimeError("the server has not been started")
        return await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Close the doors, let calls under way end, and close the journal."""
        if self._running is not None:
            running, self._running = self._running, None
            await running.aclose()
            self._http = None

    def _tell_of_pam(self, doors: Sequence[Door]) -> None:
        if any(door.authentication == PAM for door in doors):
            for reason in self._pam.shortcomings():
                log.warning("pam_cannot_check_all", reason=reason)

    def _fail(self, error: JournalError) -> None:
        log.error("journal_failed", reason=str(error))
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(error)


def _by_door(calls: Handler, metrics: Handler) -> Handler:
    def answer(request: Request) -> Awaitable[Response]:
        return (metrics if request.door.authentication == METRICS else calls)(request)

    return answer


def _show(
    metrics: Metrics, services: Mapping[type, Any], handler: XenApiHandler, throttle: Throttle, http: HttpServer
) -> None:
    """Let metrics look at what there is in a server."""
    store: Store = services[Store]
    sessions, tasks, readers = services[Sessions], services[Tasks], services[Registrations]

    def queues() -> Mapping[str, float]:
        return {
            "calls": handler.under_way,
            "event_readers": readers.count_waiting,
            "logins": throttle.under_way,
            "tasks": tasks.under_way,
            "journal": store.sequence - store.log.sequence,
        }

    def objects() -> Mapping[str, float]:
        counted = ((name, store.durable.count(name)) for name in store.model.classes)
        return {name: number for name, number in counted if number}

    metrics.gauge("xenapi_queue_length", "What is under way or waits, by where.", "queue", queues)
    metrics.gauge(
        "xenapi_sessions", "Sessions, by the authentication of their doors.", "authentication", sessions.count
    )
    metrics.gauge("xenapi_connections", "Connections, by door.", "door", http.connections_by_door)
    metrics.gauge("xenapi_objects", "Objects, by class.", "class", objects)
    metrics.counter("xenapi_changes", "Changes that are durable.", lambda: store.log.sequence - store.log.start)


def _check(door: Door) -> None:
    if door.authentication not in (*AUTHENTICATIONS, METRICS):
        known = ", ".join((*AUTHENTICATIONS, METRICS))
        raise SettingsError(
            f"The door {door.name!r} has the authentication {door.authentication!r}; known are {known}."
        )
    if door.authentication == PEER and door.path is None:
        raise SettingsError(f"The door {door.name!r} can only trust its peers if it is a unix socket.")
    if door.authentication == NONE and not door.is_local:
        raise SettingsError(
            f"The door {door.name!r} at {door.host} would let everybody in: set its authentication to {PAM!r} or "
            f"{LOCAL!r}."
        )

    if door.authentication == NONE and ANY in door.allowed_origins:
        raise SettingsError(f"The door {door.name!r} asks nobody who they are, so it cannot be open to every web page.")
    for origin in door.allowed_origins:
        if not is_origin(origin):
            raise SettingsError(
                f"The door {door.name!r} has the origin {origin!r}, which is not like https://host:port."
            )


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the cyclic garbage collector out while the pool is loaded, and from walking it again ever after.

    Records are many, live long and form no cycles; walking them doubles the time of a start.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _open_store(settings: Settings, model: Datamodel) -> Store:
    try:
        make_folder(settings.state)
    except OSError as error:
        raise JournalError(f"The state folder {settings.state} cannot be made: {error.strerror}.") from error

    def first(store: Store) -> None:
        populate(store, load(settings.scenario, hosts=settings.hosts, vms=settings.vms, seed=settings.seed))

    path = settings.state / JOURNAL
    store = Store(model, path, first=first)
    try:
        if not store.durable.count("pool"):
            raise JournalError(f"The journal {path} is damaged: it holds no pool.")
        role.establish(store, model)
    except BaseException:
        store.close()
        raise
    return store


async def _keep_house(sessions: Sessions, tasks: Tasks, store: Store) -> None:
    while True:
        await asyncio.sleep(HOUSEKEEPING)
        try:
            sessions.expire()
            await sessions.end_changed()
            tasks.collect()
            message.trim(store)
        except Exception:
            log.exception("housekeeping_failed")


async def _close_store(store: Store) -> None:
    with contextlib.suppress(JournalError):  # told when it happened
        await store.flush()
    store.close()


async def _stop_supervisor(supervisor: Supervisor) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await supervisor.stop()


async def _close(http: HttpServer, sessions: Sessions) -> None:
    """Close the doors first, then wake who waits for events, so that nobody holds up the end."""
    closing = asyncio.create_task(http.close(grace=GRACE))
    await asyncio.sleep(0)
    sessions.end_all()
    await closing
