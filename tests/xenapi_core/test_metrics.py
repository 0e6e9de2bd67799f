"""Metrics: what is measured of VMs, their devices and hosts, and data sources."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_core.classes.sampling import Sampler
from xenapi_core.datamodel import XenApiError
from xenapi_core.hypervisors.fleet import simulated_fleet
from xenapi_core.hypervisors.interface import Transfers
from xenapi_core.hypervisors.simulation.load import WAVES, Load, busy_seconds
from xenapi_core.population import populate
from xenapi_core.scenario import load
from xenapi_core.store import Store

NOW = 2_000_000_000.0
TOTALS = ("io_read_bytes_total", "io_write_bytes_total", "io_read_operations_total", "io_write_operations_total")
RATES = {"io_read_kbs": "io_read_bytes_total", "io_write_kbs": "io_write_bytes_total"}


@pytest.fixture
def measured(pool):
    """The pool, whose clock of measurements stands still."""
    pool.now = NOW
    return pool


def sample(pool, ref: str) -> dict[str, object]:
    """Return the sampled fields of an object."""
    record = pool.record(ref)
    names = [field.name for field in record.shape.fields.values() if field.sampled]
    return dict(zip(names, pool.store.samples(record), strict=True))


def devices(pool, vm) -> list[str]:
    return [pool.record(ref)["metrics"] for ref in (*pool.record(vm)["VBDs"], *pool.record(vm)["VIFs"])]


# The load by itself

seconds = st.floats(0, 1e9, allow_nan=False)


@given(st.text(max_size=8), seconds, st.integers(1, 10**6))
def test_busyness_wanders_but_stays_positive(vm, start, span):
    worked = busy_seconds(vm, start + span) - busy_seconds(vm, start)
    depth = sum(depth for _, depth in WAVES)
    assert (1 - depth) * span - 1e-3 <= worked <= (1 + depth) * span + 1e-3


@given(
    st.text(max_size=8), st.lists(st.tuples(st.sampled_from(["wait", "pause", "go on", "move"]), st.integers(1, 9999)))
)
def test_totals_never_fall_whatever_happens_to_the_domain(vm, steps):
    load, now = Load(vm, since=0.0), 0.0
    seen = [(load.disk("0", now), load.nic("0", now), load.vcpu_time(0, now))]
    for step, span in steps:
        now += span
        changes = {"pause": load.stopped, "go on": load.going_on, "move": load.moved}
        load = changes[step](now) if step in changes else load
        seen.append((load.disk("0", now), load.nic("0", now), load.vcpu_time(0, now)))
        assert 0 <= load.vcpu_time(0, now) - load.vcpu_time(0, now - 1.0) <= 1.0
    for earlier, later in pairwise(seen):
        for before, after in zip(earlier[:2], later[:2], strict=True):
            assert before.read_bytes <= after.read_bytes
            assert before.written_bytes <= after.written_bytes
            assert before.read_operations <= after.read_operations
            assert before.write_operations <= after.write_operations
        assert earlier[0].read_seconds <= later[0].read_seconds
        assert earlier[0].write_seconds <= later[0].write_seconds
        assert later[1].read_seconds is None
        assert earlier[2] <= later[2]


def test_a_paused_guest_does_nothing():
    load = Load("vm", since=0.0).stopped(100.0)
    assert load.disk("0", 200.0) == load.disk("0", 100.0) != Transfers()
    assert load.going_on(200.0).disk("0", 300.0) == Load("vm", since=0.0).disk("0", 200.0)


def test_a_new_device_begins_at_zero():
    load = Load("vm", since=0.0).plugged("disk 1", 100.0)
    assert load.disk("1", 100.0) == Transfers(read_seconds=0.0, write_seconds=0.0)
    assert load.disk("1", 200.0).read_bytes < load.disk("0", 200.0).read_bytes * 1000
    assert Load("vm", 0.0, slowness=10.0).disk("0", 50.0).read_bytes < Load("vm", 0.0).disk("0", 50.0).read_bytes


# On a pool


@given(step=st.integers(0, 50))
def test_rates_are_the_differences_of_totals(shared_pool, step):
    pool, vm = shared_pool
    for metrics in devices(pool, vm):
        pool.now = NOW + step
        before = sample(pool, metrics)
        pool.now += 1.0
        after = sample(pool, metrics)
        for rate, total in RATES.items():
            assert after[rate] == (after[total] - before[total]) / 1024 >= 0
        assert (after["last_updated"] - before["last_updated"]).total_seconds() == 1.0


@pytest.fixture(scope="module")
def shared_pool(datamodel):
    """A pool that only measures, and one of its running VMs."""

    class Pool:
        now = NOW

        def __init__(self) -> None:
            self.store = Store(datamodel)
            populate(self.store, load())
            self.fleet = simulated_fleet(self.store, None, lambda: self.now)
            self.store.measure = Sampler(self.store, self.fleet, lambda: self.now).samples
            self.record = self.store.record

    pool = Pool()
    yield pool, next(vm.ref for vm in pool.store.records("VM") if vm["domid"] > 0 and vm["power_state"] == "Running")
    pool.store.close()


async def test_a_vm_that_runs_is_measured_and_a_halted_one_is_zero(measured):
    running, halted = measured.vm("Running"), measured.vm("Halted")
    at_work = sample(measured, measured.record(running)["metrics"])
    number = measured.record(measured.record(running)["metrics"])["VCPUs_number"]
    assert at_work["memory_actual"] == measured.record(running)["memory_target"]
    assert list(at_work["VCPUs_utilisation"]) == list(at_work["VCPUs_CPU"]) == list(range(number))
    assert all(0 < share < 1 for share in at_work["VCPUs_utilisation"].values())
    assert set(at_work["VCPUs_flags"].values()) == {("online", "running")}
    assert at_work["last_updated"].timestamp() == NOW
    idle = sample(measured, measured.record(halted)["metrics"])
    assert [idle[name] for name in ("memory_actual", "VCPUs_utilisation", "VCPUs_CPU", "VCPUs_flags")] == [
        0,
        {},
        {},
        {},
    ]
    for metrics in devices(measured, halted):
        assert {sample(measured, metrics)[name] for name in (*TOTALS, *RATES)} == {0}


async def test_what_was_measured_moves(measured):
    metrics = measured.record(measured.vm("Running"))["metrics"]
    first = sample(measured, metrics)["VCPUs_utilisation"]
    assert sample(measured, metrics)["VCPUs_utilisation"] == first
    measured.now += 10.0
    assert sample(measured, metrics)["VCPUs_utilisation"] != first


async def test_a_pause_shows_within_the_second(measured):
    vm = measured.vm("Running")
    metrics = measured.record(vm)["metrics"]
    sample(measured, metrics)
    await measured.do("VM.pause", vm)
    assert set(sample(measured, metrics)["VCPUs_flags"].values()) == {("online", "blocked")}
    measured.now += 2.0
    assert set(sample(measured, metrics)["VCPUs_utilisation"].values()) == {0.0}
    await measured.do("VM.hard_shutdown", vm)
    assert sample(measured, metrics)["memory_actual"] == 0


async def test_totals_begin_anew_with_the_domain(measured):
    vm = measured.vm("Running")
    disk = devices(measured, vm)[0]
    assert sample(measured, disk)["io_read_bytes_total"] > 0
    await measured.do("VM.hard_reboot", vm)
    assert sample(measured, disk)["io_read_bytes_total"] == 0
    measured.now += 60.0
    assert sample(measured, disk)["io_read_bytes_total"] > 0


async def test_cpus_are_busy_with_the_vms_on_them(measured):
    for host in measured.store.records("host"):
        busy = sum(sample(measured, cpu)["utilisation"] for cpu in host["host_CPUs"])
        placed = sum(
            sum(sample(measured, measured.record(vm)["metrics"])["VCPUs_utilisation"].values())
            for vm in host["resident_VMs"]
        )
        assert 0 < busy <= placed + 1e-9
        assert busy == pytest.approx(placed) or any(
            sample(measured, cpu)["utilisation"] == 1.0 for cpu in host["host_CPUs"]
        )


async def test_the_traffic_of_a_physical_nic_is_that_of_the_vms_behind_it(measured):
    for pif in measured.store.records("PIF"):
        told = sample(measured, pif["metrics"])
        vifs = [
            vif
            for vif in map(measured.record, measured.record(pif["network"])["VIFs"])
            if measured.record(vif["VM"])["resident_on"] == pif["host"]
        ]
        for rate in RATES:
            assert told[rate] == pytest.approx(sum(sample(measured, vif["metrics"])[rate] for vif in vifs))


async def test_the_totals_of_a_physical_nic_outlive_vms(measured):
    vm = measured.vm("Running")
    vif = measured.record(measured.record(vm)["VIFs"][0])
    host = measured.record(vm)["resident_on"]
    (pif,) = (pif for pif in map(measured.record, measured.record(vif["network"])["PIFs"]) if pif["host"] == host)
    before = sample(measured, pif["metrics"])
    assert before["io_read_bytes_total"] > 0
    await measured.do("VM.hard_shutdown", vm)
    measured.now += 1.0
    after = sample(measured, pif["metrics"])
    assert all(after[name] >= before[name] for name in TOTALS)


async def test_measurements_follow_from_the_vm_and_the_time(make_pool):
    first, other = make_pool(seed=7), make_pool(seed=8)
    first.now = other.now = NOW
    again = Sampler(first.store, simulated_fleet(first.store, clock=first.clock), first.clock)
    for vm in first.vms("Running"):
        metrics = first.record(vm["metrics"])
        assert first.store.samples(metrics) == again.samples(metrics)
    utilisations = [
        [sample(pool, vm["metrics"])["VCPUs_utilisation"] for vm in pool.vms("Running")] for pool in (first, other)
    ]
    assert utilisations[0] != utilisations[1]


async def test_nothing_is_measured_while_nobody_reads_and_reading_is_no_event(measured, monkeypatch):
    looks = []
    for hypervisor in measured.fleet.values():
        real = hypervisor.samples
        monkeypatch.setattr(hypervisor, "samples", lambda real=real: looks.append(1) or real())
    vm = measured.vm("Halted")
    await measured.do("VM.start", vm, False)
    measured.now += 5.0
    assert looks == []
    sequence = measured.store.sequence
    for metrics in measured.store.records("VM_metrics"):
        measured.store.samples(metrics)
        measured.store.samples(metrics)
    assert len(looks) == len(measured.fleet)
    assert measured.store.sequence == sequence


async def test_the_wire_form_has_the_samples_of_the_second(api, pool):
    pool.now = NOW
    await api.login()
    vm = pool.vm("Running")
    records = await api.do("VM_metrics.get_all_records")
    record = records[pool.record(vm)["metrics"]]
    assert record["VCPUs_utilisation"]["0"] > 0
    assert record["VCPUs_flags"]["0"] == ["online", "running"]
    again = await api.do("VM_metrics.get_record", pool.record(vm)["metrics"])
    assert again == record
    pool.now += 30.0
    later = await api.do("VM_metrics.get_record", pool.record(vm)["metrics"])
    assert later["VCPUs_utilisation"] != record["VCPUs_utilisation"]
    assert await api.do("VM_metrics.get_VCPUs_utilisation", pool.record(vm)["metrics"]) == later["VCPUs_utilisation"]


# Data sources


async def test_data_sources_of_a_vm(measured):
    vm = measured.vm("Running")
    told = {source["name_label"]: source for source in await measured.do("VM.get_data_sources", vm)}
    assert {"cpu0", "memory", "memory_target", "vif_0_rx", "vif_0_tx", "vbd_xvda_read", "vbd_xvda_write"} <= set(told)
    assert told["memory"]["value"] == measured.record(vm)["memory_target"]
    for name, source in told.items():
        assert source["min"] <= source["value"] <= source["max"]
        assert await measured.do("VM.query_data_source", vm, name) == source["value"]
    disk = sample(measured, devices(measured, vm)[0])
    assert told["vbd_xvda_read"]["value"] == disk["io_read_kbs"] * 1024
    assert 0 < told["vbd_xvda_write_latency"]["value"] < told["vbd_xvda_read_latency"]["value"] < 10_000
    assert told["vbd_xvda_read_latency"]["units"] == "μs"


async def test_latencies_are_those_of_the_operations_of_a_second(measured):
    vm = measured.vm("Running")
    disk = measured.record(measured.record(vm)["VBDs"][0])
    before, now = measured.sampler.transfers(disk)
    count = now.read_operations - before.read_operations
    assert measured.sampler.latencies(disk)[0] == pytest.approx(1e6 * (now.read_seconds - before.read_seconds) / count)
    for slowness in (1.0, 20.0):
        load = Load("vm", 0.0, slowness=slowness).disk("0", 1000.0)
        assert 450e-6 < load.read_seconds / load.read_operations / slowness < 1350e-6
    names = [source["name_label"] for source in await measured.do("VM.get_data_sources", measured.vm("Halted"))]
    assert not [name for name in names if "latency" in name], "it has no disk that could be slow"


async def test_data_sources_of_a_host(measured):
    host = next(iter(measured.store.records("host")))
    told = {source["name_label"]: source["value"] for source in await measured.do("host.get_data_sources", host.ref)}
    assert {"cpu0", "cpu_avg", "memory_total_kib", "memory_free_kib", "pif_eth0_rx", "pif_eth0_tx"} <= set(told)
    assert told["memory_free_kib"] <= told["memory_total_kib"]
    assert await measured.do("host.query_data_source", host.ref, "cpu_avg") == told["cpu_avg"] > 0


async def test_data_sources_of_a_repository(measured):
    sr = next(iter(measured.store.records("SR"))).ref
    (name, *_) = (source["name_label"] for source in await measured.do("SR.get_data_sources", sr))
    assert await measured.do("SR.query_data_source", sr, name) >= 0


async def test_what_is_recorded_is_enabled_until_it_is_forgotten(measured):
    vm = measured.vm("Running")
    await measured.do("VM.record_data_source", vm, "cpu0")
    for _ in range(3):
        measured.now += 1.0
        measured.recorder.tick(measured.now)
    moments = [moment for moment, _ in measured.recorder.recorded(vm)["cpu0"]]
    assert moments == [NOW + 1, NOW + 2, NOW + 3]
    enabled = {source["name_label"] for source in await measured.do("VM.get_data_sources", vm) if source["enabled"]}
    assert enabled == {"cpu0"}
    await measured.do("VM.forget_data_source_archives", vm, "cpu0")
    assert measured.recorder.recorded(vm) == {}


async def test_unknown_data_sources_and_halted_vms_are_refused(measured):
    for message in ("query_data_source", "record_data_source", "forget_data_source_archives"):
        with pytest.raises(XenApiError) as refused:
            await measured.do(f"VM.{message}", measured.vm("Running"), "nonsense")
        assert refused.value.description == ["INVALID_VALUE", "data_source", "nonsense"]
        with pytest.raises(XenApiError) as refused:
            await measured.do(f"VM.{message}", measured.vm("Halted"), "memory")
        assert refused.value.code == "VM_BAD_POWER_STATE"
