"""Clients that write to a Xen-API server without a pause, and whether it knows later what it acknowledged to them.

For tests that kill servers. Needs the URL of a door that asks for passwords, a user and the password, nothing else:

    load = Load(url, user, password, clients=4)
    load.start()
    ...                                # let it work, then kill the server
    load.stop()
    ...                                # start the server again
    found = load.verify()              # sentences; nothing if nothing was lost and the pool is whole
    load.start()                       # the next round goes on with the objects of the last

Each client has objects of its own, so of each field it knows what it must be now: what was acknowledged last, or, if
the connection broke during a call, either that or what the call would have made of it. An error as an answer means that
the call has changed nothing.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.parsers.expat import ExpatError

import pool_integrity

NULL = "OpaqueRef:NULL"
MIB = 1 << 20
PREFIX = "written by client"

LOST = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError, ExpatError, xmlrpc.client.ResponseError)
"""What a client sees when its server goes away, be it in the middle of an answer."""

STOPPING = {"SESSION_INVALID"}
"""Errors of a server that is going away in an orderly way."""

EXPECTED = {"HOST_NOT_ENOUGH_FREE_MEMORY", "NO_HOSTS_AVAILABLE", "SR_FULL"}
"""Errors that a full pool gives."""


class ApiError(Exception):
    """An error as an answer: its code and parameters."""

    def __init__(self, method: str, description: list[str]) -> None:
        super().__init__(f"{method}: {description}")
        self.code = description[0]


class BrokenError(ConnectionError):
    """The answer was that the server can keep nothing more: what became of the call is open."""


class Connection:
    """A session at a server."""

    def __init__(self, url: str, user: str, password: str, patience: float = 30.0) -> None:
        """Log in; a server that does not answer yet is tried again for so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            self._proxy = xmlrpc.client.ServerProxy(url, allow_none=True)
            try:
                self._session = self._send("session.login_with_password", user, password, "1.0", "write load")
            except LOST:
                self.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def __call__(self, method: str, *parameters: Any) -> Any:
        """Send a call of the session and return its value; ApiError if it fails, one of LOST if nobody answers."""
        return self._send(method, self._session, *parameters)

    def _send(self, method: str, *parameters: Any) -> Any:
        answer = getattr(self._proxy, method)(*parameters)
        if answer["Status"] == "Success":
            return answer["Value"]
        if answer["ErrorDescription"][0] == "INTERNAL_ERROR" and "JournalError" in answer["ErrorDescription"][1]:
            raise BrokenError(*answer["ErrorDescription"])
        raise ApiError(method, answer["ErrorDescription"])

    def close(self) -> None:
        self._proxy("close")()


@dataclass
class Known:
    """What is known of an object."""

    cls: str
    may_be: dict[str, set[Any]] = field(default_factory=dict)
    """By field: the values that it may have. One, unless the connection broke during a call."""
    may_be_gone: bool = False

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field that is certain."""
        (value,) = self.may_be[name]
        return value


@dataclass
class Ledger:
    """What was acknowledged to one client. Only that client writes to it, and only one call at a time is in doubt."""

    objects: dict[str, Known] = field(default_factory=dict)
    """By reference."""
    gone: set[str] = field(default_factory=set)
    """References of objects whose end was acknowledged."""
    calls: Counter[str] = field(default_factory=Counter)
    """How many calls were acknowledged, by message."""
    refused: Counter[str] = field(default_factory=Counter)
    """How many were refused, by the error's code."""
    broken: int = 0
    """How many were answered with the news that the server can keep nothing more."""
    surprises: list[str] = field(default_factory=list)
    """Errors that nothing explains."""

    def add(self, ref: str, cls: str, **fields: Any) -> None:
        """An object is there."""
        self.objects[ref] = Known(cls, {name: {value} for name, value in fields.items()})

    @contextmanager
    def changing(self, ref: str, **fields: Any) -> Iterator[None]:
        """A call gives fields of an object these values."""
        known = self.objects[ref]
        before = {name: known.may_be[name] for name in fields}
        for name, value in fields.items():
            known.may_be[name] = before[name] | {value}
        try:
            yield
        except ApiError:
            known.may_be.update(before)
            raise
        known.may_be.update({name: {value} for name, value in fields.items()})

    @contextmanager
    def ending(self, *refs: str) -> Iterator[None]:
        """A call removes objects."""
        for ref in refs:
            self.objects[ref].may_be_gone = True
        try:
            yield
        except ApiError:
            for ref in refs:
                self.objects[ref].may_be_gone = False
            raise
        for ref in refs:
            del self.objects[ref]
            self.gone.add(ref)

    def compare(self, pool: pool_integrity.Pool) -> Iterator[str]:
        """Yield what a server has forgotten, in sentences, and take what it says for certain from now on."""
        for ref, known in list(self.objects.items()):
            record = pool[known.cls].get(ref)
            if record is None:
                del self.objects[ref]
                if not known.may_be_gone:
                    yield f"{known.cls} {ref} is gone; it was {known.may_be}"
                continue
            known.may_be_gone = False
            for name, values in known.may_be.items():
                if record[name] not in values:
                    yield f"{known.cls} {ref}: {name} is {record[name]!r}, and was acknowledged as one of {values}"
                known.may_be[name] = {record[name]}
        for ref in self.gone:
            if any(ref in records for records in pool.values()):
                yield f"{ref} is back"

    def of(self, cls: str, **fields: Any) -> list[str]:
        """Return the objects of a class that have these values."""
        return [
            ref
            for ref, known in self.objects.items()
            if known.cls == cls and all(known.may_be[name] == {value} for name, value in fields.items())
        ]


class Client:
    """Writes until its server goes away or it is told to stop."""

    MOST = 4
    """VMs of one client; beyond that, it removes some."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.ledger = Ledger()
        self.random = random.Random(seed * 1000 + number)
        self._made = 0
        self._call: Connection | None = None
        self._home = ""
        self._network = ""
        self._snapshots: dict[str, tuple[str, str]] = {}
        """By snapshot: its VM, and the description that the VM had."""

    def work(self, call: Connection, stopped: threading.Event) -> None:
        """Act at random."""
        self._call = call
        act = Client.look_around
        while not stopped.is_set():
            try:
                act(self)
            except LOST as error:
                self.ledger.broken += isinstance(error, BrokenError)
                return
            except ApiError as error:
                if error.code in STOPPING:
                    return
                self.ledger.refused[error.code] += 1
                if error.code not in EXPECTED:
                    self.ledger.surprises.append(str(error))
            act = self.random.choices([act for act, _ in ACTS], [weight for _, weight in ACTS])[0]

    def call(self, method: str, *parameters: Any) -> Any:
        value = self._call(method, *parameters)
        self.ledger.calls[method] += 1
        return value

    def name(self) -> str:
        self._made += 1
        return f"{PREFIX} {self.number}: {self._made}"

    def any(self, cls: str, **fields: Any) -> str | None:
        found = self.ledger.of(cls, **fields)
        return self.random.choice(found) if found else None

    def devices(self, vm: str) -> list[str]:
        return [*self.ledger.of("VBD", VM=vm), *self.ledger.of("VIF", VM=vm)]

    # What it does

    def look_around(self) -> None:
        (pool,) = self.call("pool.get_all_records").values()
        self._home = pool["default_SR"]
        self._network = self.call("network.get_all")[0]

    def make_vm(self) -> None:
        if len(self.ledger.of("VM")) >= self.MOST:
            self.destroy_vm()
            return
        label = self.name()
        record = {"name_label": label, "name_description": "", "memory_static_max": str(64 * MIB)}
        vm = self.call("VM.create", record)
        fields = {"power_state": "Halted", "name_label": label, "name_description": ""}
        self.ledger.add(vm, "VM", **fields, is_a_snapshot=False)
        disk = self.call("VDI.create", {"SR": self._home, "virtual_size": str(MIB), "name_label": label})
        self.ledger.add(disk, "VDI", name_label=label, virtual_size=str(MIB), SR=self._home)
        position = self.call("VBD.create", {"VM": vm, "VDI": disk, "userdevice": "0", "mode": "RW", "type": "Disk"})
        self.ledger.add(position, "VBD", VM=vm, VDI=disk, currently_attached=False)
        nic = self.call("VIF.create", {"VM": vm, "network": self._network, "device": "0", "MTU": "1500"})
        self.ledger.add(nic, "VIF", VM=vm, network=self._network, currently_attached=False)

    def describe(self) -> None:
        if vm := self.any("VM", is_a_snapshot=False):
            for _ in range(self.random.randrange(1, 20)):
                text = self.name()
                with self.ledger.changing(vm, name_description=text):
                    self.call("VM.set_name_description", vm, text)

    def change_power(self) -> None:
        if vm := self.any("VM", is_a_snapshot=False):
            message, parameters, state, devices = self.random.choice(POWER[self.ledger.objects[vm]["power_state"]])
            with self._with_devices(vm, state, devices):
                self.call(message, vm, *parameters)

    @contextmanager
    def _with_devices(self, vm: str, state: str, attached: bool | None) -> Iterator[None]:
        """A call changes a VM's power state, and with it whether its devices are attached, unless that is None."""
        with ExitStack() as stack:
            stack.enter_context(self.ledger.changing(vm, power_state=state))
            if attached is not None:
                for device in self.devices(vm):
                    stack.enter_context(self.ledger.changing(device, currently_attached=attached))
            yield

    def migrate(self) -> None:
        if vm := self.any("VM", power_state="Running"):
            host = self.random.choice(self.call("host.get_all"))
            self.call("VM.pool_migrate", vm, host, {"live": "true"})

    def plug(self) -> None:
        if vm := self.any("VM", power_state="Running"):
            for cls in ("VBD", "VIF"):
                for device in self.ledger.of(cls, VM=vm):
                    attached = self.ledger.objects[device]["currently_attached"]
                    with self.ledger.changing(device, currently_attached=not attached):
                        self.call(f"{cls}.unplug" if attached else f"{cls}.plug", device)

    def take_snapshot(self) -> None:
        vm = self.any("VM", is_a_snapshot=False)
        if vm is None or len(self.ledger.of("VM", is_a_snapshot=True)) >= self.MOST:
            return
        known, label = self.ledger.objects[vm], self.name()
        before = known["power_state"]
        memory = before != "Halted" and self.random.random() < 0.5
        made = self.call("VM.checkpoint" if memory else "VM.snapshot", vm, label)
        state = "Suspended" if memory else "Halted"
        self.ledger.add(made, "VM", name_label=label, is_a_snapshot=True, power_state=state)
        self._snapshots[made] = (vm, known["name_description"])

    def revert(self) -> None:
        snapshot = self.any("VM", is_a_snapshot=True)
        vm, text = self._snapshots.get(snapshot or "", ("", ""))
        if vm not in self.ledger.objects:
            return
        disks = {self.call("VBD.get_VDI", each) for each in self.call("VM.get_VBDs", vm)}
        lost = [*self.devices(vm), *(disks & self.ledger.objects.keys())]
        state = self.ledger.objects[snapshot]["power_state"]
        with self.ledger.ending(*lost), self.ledger.changing(vm, power_state=state, name_description=text):
            self.call("VM.revert", snapshot)

    def destroy_snapshot(self) -> None:
        if snapshot := self.any("VM", is_a_snapshot=True):
            disks = [self.call("VBD.get_VDI", each) for each in self.call("VM.get_VBDs", snapshot)]
            with self.ledger.ending(snapshot):
                self.call("VM.destroy", snapshot)
            for disk in disks:
                if disk in self.call("VDI.get_all"):
                    self.call("VDI.destroy", disk)

    def clone(self) -> None:
        if (vm := self.any("VM", is_a_snapshot=False, power_state="Halted")) and len(
            self.ledger.of("VM", is_a_snapshot=False)
        ) < self.MOST:
            label = self.name()
            whole = self.random.random() < 0.5
            made = self.call("VM.copy", vm, label, NULL) if whole else self.call("VM.clone", vm, label)
            text = self.ledger.objects[vm]["name_description"]
            fields = {"name_label": label, "name_description": text, "power_state": "Halted", "is_a_snapshot": False}
            self.ledger.add(made, "VM", **fields)

    def resize(self) -> None:
        for vm in self.ledger.of("VM", power_state="Halted", is_a_snapshot=False):
            for device in self.ledger.of("VBD", VM=vm):
                disk = self.ledger.objects[device]["VDI"]
                size = str(int(self.ledger.objects[disk]["virtual_size"]) + MIB)
                with self.ledger.changing(disk, virtual_size=size):
                    self.call("VDI.resize", disk, size)
                return

    def copy_disk(self) -> None:
        used = {self.ledger.objects[each]["VDI"]: each for each in self.ledger.of("VBD")}
        spare = [disk for disk in self.ledger.of("VDI") if disk not in used]
        if len(spare) >= self.MOST:
            disk = self.random.choice(spare)
            if self.call("VDI.get_VBDs", disk):  # of a call that broke: nobody was told of the device
                return
            with self.ledger.ending(disk):
                self.call("VDI.destroy", disk)
        elif used:
            disk, device = self.random.choice(list(used.items()))
            attached = self.ledger.objects[device]["currently_attached"]
            made = self.call("VDI.snapshot", disk) if attached else self.call("VDI.copy", disk, self._home)
            size, label = (self.ledger.objects[disk][name] for name in ("virtual_size", "name_label"))
            self.ledger.add(made, "VDI", virtual_size=size, name_label=label, SR=self._home)

    def destroy_vm(self) -> None:
        vm = self.any("VM", is_a_snapshot=False, power_state="Halted")
        if vm is None:
            return
        every = {self.call("VBD.get_VDI", each) for each in self.call("VM.get_VBDs", vm)}
        with self.ledger.ending(vm, *self.devices(vm)):
            self.call("VM.destroy", vm)
        for disk in every:
            with self.ledger.ending(*(disk,) * (disk in self.ledger.objects)):
                self.call("VDI.destroy", disk)


POWER: dict[str, list[tuple[str, tuple[Any, ...], str, bool | None]]] = {
    "Halted": [
        ("VM.start", (False, False), "Running", True),
        ("VM.start", (True, False), "Paused", True),
    ],
    "Running": [
        ("VM.clean_shutdown", (), "Halted", False),
        ("VM.hard_shutdown", (), "Halted", False),
        ("VM.suspend", (), "Suspended", False),
        ("VM.pause", (), "Paused", None),
        ("VM.clean_reboot", (), "Running", True),
        ("VM.hard_reboot", (), "Running", True),
    ],
    "Paused": [
        ("VM.unpause", (), "Running", None),
        ("VM.hard_shutdown", (), "Halted", False),
    ],
    "Suspended": [
        ("VM.resume", (False, False), "Running", True),
        ("VM.hard_shutdown", (), "Halted", False),
    ],
}
"""By power state: what may be called, with which parameters, the state that follows, and whether that leaves the VM's
devices attached; None: as they were."""

ACTS: list[tuple[Callable[[Client], None], int]] = [
    (Client.make_vm, 3),
    (Client.describe, 4),
    (Client.change_power, 10),
    (Client.migrate, 2),
    (Client.plug, 2),
    (Client.take_snapshot, 2),
    (Client.destroy_snapshot, 1),
    (Client.revert, 1),
    (Client.clone, 2),
    (Client.resize, 2),
    (Client.copy_disk, 2),
    (Client.destroy_vm, 1),
]
"""What clients do, and how often."""


class Load:
    """Several clients at one server, or at one after the other."""

    def __init__(self, url: str, user: str, password: str, clients: int = 4, seed: int = 1) -> None:
        self._server = (url, user, password)
        self.clients = [Client(number, seed) for number in range(clients)]
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def acknowledged(self) -> int:
        """How many calls were acknowledged up to now."""
        return sum(client.ledger.calls.total() for client in self.clients)

    @property
    def broken(self) -> int:
        """How many calls were answered with the news that the server can keep nothing more."""
        return sum(client.ledger.broken for client in self.clients)

    def start(self) -> None:
        """Log in and begin to write; returns once all clients do."""
        self._stopped.clear()
        for client in self.clients:
            thread = threading.Thread(target=self._work, args=(client, Connection(*self._server)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self, client: Client, connection: Connection) -> None:
        try:
            client.work(connection, self._stopped)
        except BaseException as error:
            client.ledger.surprises.append(f"client {client.number} failed: {error!r}")
            raise
        finally:
            connection.close()

    def stop(self, patience: float = 60.0) -> None:
        """Wait until all clients have stopped: at once if the server is gone, else after the calls under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(patience)
            if thread.is_alive():
                raise TimeoutError("a client still waits for an answer")
        self._threads.clear()

    def verify(self) -> list[str]:
        """Return what the server lost, what is half made in its pool, and what surprised the clients, in sentences.

        What it says of calls whose fate was open counts from now on.
        """
        connection = Connection(*self._server)
        try:
            found = pool_integrity.problems(connection)
            pool = pool_integrity.read(connection)
        finally:
            connection.close()
        for client in self.clients:
            found += client.ledger.compare(pool)
            found += client.ledger.surprises
            client.ledger.surprises.clear()
        return found
