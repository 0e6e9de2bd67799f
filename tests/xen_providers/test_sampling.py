"""Samples: read in bulk, while somebody asks, at most once a second, and shown by what follows them alone."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from cim_provider import InstanceName
from xen_providers.mapping.declaration import MappedClass, key, string, uint64
from xen_providers.mapping.sampling import FRESH, PATIENCE, RECENT, Sampler
from xen_providers.provider import XenProvider
from xenapi_client import Connection, XenApiUnavailable

MEMORY = MappedClass(
    "Test_Memory", "CIM_Memory", "VM", {"ID": key(string("uuid")), "Size": uint64("metrics.memory_actual", int)}
)
NAME = MappedClass("Test_Name", "CIM_Thing", "VM", {"ID": key(string("uuid")), "Name": string("name_label")})


class Meter:
    """Stands in for a connection: answers get_all_records with how often it was asked."""

    endpoint = "meter"

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.problem: Exception | None = None

    async def call(self, method: str) -> dict[str, dict[str, int]]:
        cls, _, message = method.partition(".")
        assert message == "get_all_records"
        self.asked[cls] += 1
        answer = {"ref": {"value": self.asked[cls]}}
        await self.may_answer.wait()
        if self.problem is not None:
            raise self.problem
        return answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sampler(meter, clock):
    sampler = Sampler(meter, lambda: None, clock)
    yield sampler
    await sampler.stop()


def value(sampler: Sampler, cls: str) -> int:
    return sampler.samples[cls]["ref"]["value"]


async def test_nothing_is_read_before_somebody_asks(sampler, meter):
    assert sampler.samples == {}
    await sampler.refresh([])
    assert not meter.asked


async def test_the_first_reader_waits_and_those_of_the_next_second_get_the_same(sampler, meter, clock):
    await asyncio.gather(*(sampler.refresh(["VM_metrics"]) for _ in range(5)))
    clock.now += FRESH * 0.99
    await sampler.refresh(["VM_metrics", "PIF_metrics"])
    assert meter.asked == {"VM_metrics": 1, "PIF_metrics": 1}
    assert value(sampler, "VM_metrics") == 1


async def test_what_is_recent_is_shown_while_the_next_is_read(sampler, meter, clock):
    await sampler.refresh(["VM_metrics"])
    meter.may_answer.clear()
    clock.now += FRESH
    await sampler.refresh(["VM_metrics"])
    await sampler.refresh(["VM_metrics"])
    assert value(sampler, "VM_metrics") == 1
    meter.may_answer.set()
    while value(sampler, "VM_metrics") == 1:
        await asyncio.sleep(0)
    assert meter.asked == {"VM_metrics": 2}


async def test_after_a_long_rest_readers_wait(sampler, meter, clock):
    await sampler.refresh(["VM_metrics"])
    clock.now += RECENT
    await sampler.refresh(["VM_metrics"])
    assert value(sampler, "VM_metrics") == 2


async def test_a_server_that_hangs_holds_readers_for_a_while_only(sampler, meter, clock, monkeypatch):
    assert PATIENCE < 10
    monkeypatch.setattr("xen_providers.mapping.sampling.PATIENCE", 0.01)
    meter.may_answer.clear()
    await sampler.refresh(["VM_metrics"])
    assert sampler.samples == {}


async def test_what_fails_is_tried_again_a_second_later_and_told_once(sampler, meter, clock, caplog):
    await sampler.refresh(["VM_metrics"])
    meter.problem = XenApiUnavailable("It is away.")
    for _ in range(3):
        clock.now += RECENT
        await sampler.refresh(["VM_metrics"])
        await sampler.refresh(["VM_metrics"])
    assert meter.asked == {"VM_metrics": 4}
    assert value(sampler, "VM_metrics") == 1
    meter.problem = None
    clock.now += FRESH
    await sampler.refresh(["VM_metrics"])
    assert value(sampler, "VM_metrics") == 5


async def test_a_provider_shows_what_the_server_measures(pool, xen):
    provider = XenProvider(pool.url("unix"), classes=[MEMORY, NAME], indications=[])
    await provider.start()
    try:
        assert provider.sampled_classes == {"test_memory"}
        before = provider.view()
        names = before.instances("Test_Name")
        await provider.refresh(["Test_Name"])
        assert provider.view() is before
        await provider.refresh(["Test_Memory"])
        assert provider.view().instances("Test_Name") is names
        metrics = await xen.call("VM_metrics.get_all_records")
        vms = await xen.call("VM.get_all_records")
        shown = {each.properties["ID"]: each.properties["Size"] for each in provider.view().instances("Test_Memory")}
        assert shown == {vm["uuid"]: int(metrics[vm["metrics"]]["memory_actual"]) for vm in vms.values()}
        assert any(shown.values())
        (uuid, size) = next(iter(shown.items()))
        assert provider.view().instance(InstanceName("Test_Memory", (("ID", uuid),))).properties["Size"] == size
    finally:
        await provider.stop()


class Unmoving(Connection):
    """Answers as servers of today do: the fields of metrics are there, but what was measured is not in them."""

    paths: Counter[str]

    async def call(self, method: str, *parameters: object, within: float | None = None):
        records = await super().call(method, *parameters, within=within)
        still = {"io_read_kbs": 0.0, "io_write_kbs": 0.0, "VCPUs_utilisation": {}, "utilisation": 0.0}
        return {
            ref: {name: still.get(name, value) for name, value in record.items()} for ref, record in records.items()
        }

    async def download(self, path: str, *arguments, **more) -> bytes:
        self.paths[path] += 1
        return await super().download(path, *arguments, **more)


@pytest.fixture
async def unmoving(pool, provider, clock):
    connection = Unmoving(pool.url("unix"))
    connection.paths = Counter()
    sampler = Sampler(connection, lambda: provider._inventory.version, clock)
    yield sampler, connection.paths
    await sampler.stop()
    await connection.close()


async def test_what_does_not_move_is_taken_from_data_sources(unmoving, xen):
    sampler, paths = unmoving
    classes = ["VM_metrics", "VBD_metrics", "VIF_metrics", "PIF_metrics", "host_cpu", "VBD"]
    await sampler.refresh(classes)
    assert paths == {"/rrd_updates": 1}, "one answer for all classes"
    told = await sampler._updates
    vms, hosts = [(await xen.call(f"{cls}.get_all_records")) for cls in ("VM", "host")]
    running = {
        ref: told.of("vm", each["uuid"]) for ref, each in vms.items() if each["power_state"] in ("Running", "Paused")
    }
    assert len(running) > 2
    for ref, sources in running.items():
        metrics = sampler.samples["VM_metrics"][vms[ref]["metrics"]]
        assert metrics["VCPUs_utilisation"] == {
            name.removeprefix("cpu"): value for name, value in sources.items() if name.startswith("cpu")
        }
        assert metrics["last_updated"] == told.moment
        assert int(metrics["memory_actual"]) == sources["memory"], "this one moves"
    others = [each["metrics"] for ref, each in vms.items() if ref not in running and each["metrics"]]
    assert {sampler.samples["VM_metrics"][ref]["VCPUs_utilisation"] for ref in others} == {None}, "unknown, not zero"
    checked = 0
    for cls, stem, words in (("VBD", "vbd", ("read", "write")), ("VIF", "vif", ("rx", "tx"))):
        for ref, device in (await xen.call(f"{cls}.get_all_records")).items():
            sources = running.get(device["VM"], {})
            if f"{stem}_{device['device']}_{words[0]}" not in sources:
                continue
            metrics, checked = sampler.samples[f"{cls}_metrics"][device["metrics"]], checked + 1
            for field, word in zip(("io_read_kbs", "io_write_kbs"), words, strict=True):
                assert metrics[field] * 1024 == pytest.approx(sources[f"{stem}_{device['device']}_{word}"])
            if cls == "VBD" and device["currently_attached"]:
                latency = sampler.samples["VBD"][ref]["read_latency"]
                assert latency == sources[f"vbd_{device['device']}_read_latency"]
    assert checked > 8
    for ref, cpu in (await xen.call("host_cpu.get_all_records")).items():
        expected = told.of("host", hosts[cpu["host"]]["uuid"])[f"cpu{cpu['number']}"]
        assert sampler.samples["host_cpu"][ref]["utilisation"] == expected
    assert any(each["io_read_kbs"] for each in sampler.samples["PIF_metrics"].values())


async def test_what_moves_is_not_asked_for_twice(unmoving, xen, monkeypatch):
    sampler, _ = unmoving
    monkeypatch.setattr(sampler, "_connection", xen)
    await sampler.refresh(["VM_metrics", "VBD_metrics"])
    assert any(each["VCPUs_utilisation"] for each in sampler.samples["VM_metrics"].values())
    assert any(each["io_read_kbs"] for each in sampler.samples["VBD_metrics"].values())
    assert sampler._updates is None


async def test_a_server_without_data_sources_has_its_own_fields(unmoving, caplog):
    sampler, _ = unmoving

    async def download(path, *arguments, **more):
        raise XenApiUnavailable(f"There is no {path}.")

    sampler._connection.download = download
    await sampler.refresh(["VBD_metrics", "VBD"])
    assert {each["io_read_kbs"] for each in sampler.samples["VBD_metrics"].values()} == {0.0}
    assert "VBD" not in sampler.samples
