"""The server dies before, between and after all effects of operations: the next one finishes or undoes each of them.

An operation is carried out once. At each effect on a hypervisor, before it and after it, what is durable and what the
hypervisors run is kept; from each of these moments a new server starts.
"""

from __future__ import annotations

import asyncio
import inspect
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vm_lifecycle import check_consistent, perform
from xenapi_core.classes.supervision import Supervisor
from xenapi_core.datamodel import NULL
from xenapi_core.hypervisors.description import describe
from xenapi_core.hypervisors.interface import Domain, DomainConfig
from xenapi_core.hypervisors.simulated import SimulatedHypervisor

EFFECTS = ("_build", "_change", "_end", "receive", "set_scheduling", "save", "power_off", "power_on")
"""The methods of a simulated hypervisor through which anything changes."""


@dataclass
class Moment:
    """What a crash leaves: the journal, and what each host runs."""

    journal: Path
    domains: dict[str, tuple[dict[str, Domain], dict[str, DomainConfig]]]
    memories: dict[str, set[str]]
    on: dict[str, bool]

    @classmethod
    def now(cls, pool: Any, journal: Path, folder: Path) -> Moment:
        folder.mkdir()
        for file in journal.parent.glob(f"{journal.name}*"):
            shutil.copy(file, folder)
        fleet = pool.fleet.items()
        return cls(
            folder / journal.name,
            {host: (dict(each._domains), dict(each._configs)) for host, each in fleet},
            {host: set(each._memories) for host, each in fleet},
            {host: each._on for host, each in fleet},
        )

    def survive(self, pool: Any) -> None:
        """Let the hypervisors of a pool run what they ran."""
        for host, hypervisor in pool.fleet.items():
            hypervisor._domains, hypervisor._configs = self.domains[host]
            hypervisor._memories, hypervisor._on = self.memories[host], self.on[host]
            hypervisor._next_domid = 1000


Do = Callable[[Any], Coroutine[Any, Any, Any]]


@pytest.fixture
def crashes(make_pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Carry an operation out, and return the pools that start from each moment of it; the first and last are whole."""

    async def carry_out(prepare: Do, do: Do) -> list[Any]:
        journal = tmp_path / "running" / "journal"
        journal.parent.mkdir()
        pool = make_pool(journal, hosts=2, vms=3)
        await prepare(pool)
        await pool.store.flush()
        moments: list[Moment] = []

        def keep() -> None:
            moments.append(Moment.now(pool, journal, tmp_path / f"moment {len(moments)}"))

        def watched(effect: Callable[..., Any]) -> Callable[..., Any]:
            async def awaited(*arguments: Any, **options: Any) -> Any:
                keep()
                result = await effect(*arguments, **options)
                keep()
                return result

            def carried_out(*arguments: Any, **options: Any) -> Any:
                keep()
                result = effect(*arguments, **options)
                keep()
                return result

            return awaited if inspect.iscoroutinefunction(effect) else carried_out

        keep()
        with monkeypatch.context() as patch:
            for name in EFFECTS:
                patch.setattr(SimulatedHypervisor, name, watched(getattr(SimulatedHypervisor, name)))
            await do(pool)
        await pool.store.flush()
        keep()
        return [await restarted(moment) for moment in moments]

    async def restarted(moment: Moment) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(Supervisor, "start", lambda supervisor: None)  # the hypervisors are not yet what they are
            pool = make_pool(moment.journal)
        moment.survive(pool)
        pool.supervisor.start()
        await pool.supervisor.stop()
        await pool.store.flush()
        return pool

    return carry_out


def look(pool: Any) -> Any:
    """Return what an operation is to have changed wholly or not at all."""
    vms = {
        vm.ref: (
            str(vm["power_state"]),
            vm["resident_on"],
            vm["memory_target"],
            vm["memory_dynamic_max"],
            vm["VCPUs_params"],
            len(vm["snapshots"]),
            pool.record(vm["metrics"])["VCPUs_number"],
            [(pool.record(vbd)["currently_attached"], pool.record(vbd)["VDI"]) for vbd in vm["VBDs"]],
            [(pool.record(vif)["currently_attached"], pool.record(vif)["network"]) for vif in vm["VIFs"]],
        )
        for vm in pool.vms()
    }
    hosts = {host.ref: (pool.record(host["metrics"])["live"], host["enabled"]) for host in pool.store.records("host")}
    return vms, hosts, sum(1 for _ in pool.store.records("VDI"))


def check_whole(pool: Any) -> None:
    """Check that no mark is left, and that the hypervisors run just what the records say, devices included."""
    for cls in pool.model.classes.values():
        if "current_operations" in cls.fields:
            assert not [record for record in pool.store.records(cls.name) if record["current_operations"]]
    runs = {(host, uuid): domain for host, each in pool.fleet.items() for uuid, domain in each.domains().items()}
    up = {(vm["resident_on"], vm["uuid"]): vm for vm in pool.vms() if vm["resident_on"] != NULL}
    assert runs.keys() == up.keys()
    for key, vm in up.items():
        domain, config = runs[key], pool.fleet[key[0]]._configs[vm["uuid"]]
        assert (vm["domid"], vm["power_state"] == "Paused") == (domain.domid, domain.paused)
        assert vm["memory_target"] == domain.memory <= vm["memory_dynamic_max"]
        wanted = describe(pool.store, vm, attached=True)
        assert set(config.disks) == set(wanted.disks)
        assert set(config.nics) == set(wanted.nics)


def in_state(state: str, *calls: str) -> Do:
    """Prepare a VM by calls; it is the first in a power state."""

    async def prepare(pool: Any) -> None:
        vm = pool.vms()[0].ref
        await pool.do("VM.power_state_reset", vm)
        for call in calls:
            await perform(pool, call, vm)
        assert pool.record(vm)["power_state"] == state

    return prepare


def first(message: str, *arguments: Any, of: str = "VM") -> Do:
    """Send a message to the first VM, or to its first device of a class."""

    async def do(pool: Any) -> None:
        vm = pool.vms()[0]
        target = vm.ref if of == "VM" else vm[f"{of}s"][0]
        await pool.do(message, target, *(each(pool) if callable(each) else each for each in arguments))

    return do


def both(*steps: Do) -> Do:
    async def do(pool: Any) -> None:
        for step in steps:
            await step(pool)

    return do


def other_host(pool: Any) -> str:
    return next(host for host in pool.fleet if host != pool.vms()[0]["resident_on"])


def on_host(message: str) -> Do:
    """Send a message to the last host, which is disabled."""

    async def do(pool: Any) -> None:
        await pool.do(message, list(pool.fleet)[-1])

    return do


async def disabled(pool: Any) -> None:
    await pool.do("host.disable", list(pool.fleet)[-1])


async def revert(pool: Any) -> None:
    await pool.do("VM.revert", pool.vms()[0]["snapshots"][0])


HALTED, RUNNING = in_state("Halted"), in_state("Running", "start")
PAUSED, SUSPENDED = in_state("Paused", "start paused"), in_state("Suspended", "start", "suspend")

OPERATIONS = {
    "start": (HALTED, first("VM.start", False)),
    "start paused": (HALTED, first("VM.start", True)),
    "pause": (RUNNING, first("VM.pause")),
    "unpause": (PAUSED, first("VM.unpause")),
    "suspend": (RUNNING, first("VM.suspend")),
    "resume": (SUSPENDED, first("VM.resume", False)),
    "clean shutdown": (RUNNING, first("VM.clean_shutdown")),
    "hard shutdown": (RUNNING, first("VM.hard_shutdown")),
    "clean reboot": (RUNNING, first("VM.clean_reboot")),
    "hard reboot": (PAUSED, first("VM.hard_reboot")),
    "migrate": (RUNNING, first("VM.pool_migrate", other_host, {})),
    "checkpoint": (RUNNING, first("VM.checkpoint", "kept")),
    "memory": (RUNNING, first("VM.set_memory_dynamic_range", 256 << 20, 256 << 20)),
    "VCPUs": (
        both(HALTED, first("VM.set_VCPUs_max", 4), first("VM.start", False)),
        first("VM.set_VCPUs_number_live", 4),
    ),
    "scheduling": (RUNNING, first("VM.add_to_VCPUs_params_live", "weight", "512")),
    "unplug a disk": (RUNNING, first("VBD.unplug_force", of="VBD")),
    "plug a disk": (both(RUNNING, first("VBD.unplug_force", of="VBD")), first("VBD.plug", of="VBD")),
    "unplug a NIC": (RUNNING, first("VIF.unplug", of="VIF")),
    "plug a NIC": (both(RUNNING, first("VIF.unplug", of="VIF")), first("VIF.plug", of="VIF")),
    "switch a host off": (disabled, on_host("host.shutdown")),
    "reboot a host": (disabled, on_host("host.reboot")),
    "switch a host on": (both(disabled, on_host("host.shutdown")), on_host("host.power_on")),
}
"""What is done, each with what comes before."""


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whenever_the_server_dies_an_operation_is_finished_or_undone(crashes, operation):
    pools = await crashes(*OPERATIONS[operation])
    before, after = look(pools[0]), look(pools[-1])
    assert len(pools) >= 4, "the operation has no effect that could be cut off"
    assert before != after or "reboot" in operation
    for pool in pools:
        check_whole(pool)
        assert look(pool) in (before, after)


async def test_a_vm_whose_revert_ended_its_domain_is_halted(crashes):
    """The disks are as they were: nothing is lost but what the revert was to throw away."""
    pools = await crashes(both(RUNNING, first("VM.snapshot", "kept")), revert)
    states = set()
    for pool in pools:
        check_whole(pool)
        states.add(str(pool.vms()[0]["power_state"]))
    assert states == {"Running", "Halted"}


async def test_a_resumption_that_a_hard_shutdown_overtook_leaves_no_domain(crashes):
    async def overtaken(pool: Any) -> None:
        vm = pool.vms()[0].ref
        shut_down = asyncio.Event()
        for hypervisor in pool.fleet.values():
            hypervisor._take_time = lambda *_: shut_down.wait()
        resume = asyncio.create_task(pool.do("VM.resume", vm, False))
        while not pool.record(vm)["current_operations"]:
            await asyncio.sleep(0)
        await pool.do("VM.hard_shutdown", vm)
        await pool.store.flush()
        shut_down.set()
        await asyncio.gather(resume, return_exceptions=True)

    pools = await crashes(SUSPENDED, overtaken)
    assert len(pools) >= 4
    for pool in pools:
        check_whole(pool)
    states = [str(pool.vms()[0]["power_state"]) for pool in pools]
    assert states[-1] == "Halted"
    assert "Halted" in states[:-1], "no moment at which the shutdown was acknowledged and the domain still there"


async def test_a_domain_that_somebody_else_started_is_the_vms(crashes):
    async def start(pool: Any) -> None:
        vm = pool.vms()[0]
        config = replace(describe(pool.store, vm), memory=vm["memory_dynamic_max"])
        await list(pool.fleet.values())[-1].start(config)

    pools = await crashes(HALTED, start)
    assert [str(pool.vms()[0]["power_state"]) for pool in pools] == ["Halted", "Halted", "Running", "Running"]
    for pool in pools:
        check_whole(pool)
        check_consistent(pool)


async def test_a_domain_that_somebody_else_moved_is_where_it_is(crashes):
    async def move(pool: Any) -> None:
        vm = pool.vms()[0]
        await pool.fleet[vm["resident_on"]].migrate(vm["uuid"], pool.fleet[other_host(pool)], lambda fraction: None)

    pools = await crashes(RUNNING, move)
    first, last = pools[0].vms()[0]["resident_on"], pools[-1].vms()[0]["resident_on"]
    assert first != last
    check_whole(pools[-1])
    check_consistent(pools[-1])
