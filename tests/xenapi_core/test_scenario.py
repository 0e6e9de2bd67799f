"""Scenario files, and the pools made from them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, tzinfo
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xenapi_core import population
from xenapi_core.classes import role
from xenapi_core.datamodel import NULL, Datamodel, Record
from xenapi_core.population import context
from xenapi_core.scenario import ScenarioError, load
from xenapi_core.store import Store

BUILT_IN = resources.files("xenapi_core").joinpath("scenario.toml").read_text("utf-8")


def made(datamodel: Datamodel, **overrides: int) -> Store:
    store = Store(datamodel)
    population.populate(store, load(**overrides))
    return store


def objects(store: Store) -> list[tuple[str, Any]]:
    """Return all objects, without the times at which things happened."""
    names = [name for name, cls in store.model.classes.items() if cls.stored]
    return [
        (record.ref, [value for value in record.values if not hasattr(value, "year")])
        for name in names
        for record in store.records(name)
    ]


def check_pool(store: Store, hosts: int, vms: int) -> None:
    records: dict[str, list[Record]] = {name: list(store.records(name)) for name in store.model.classes}
    ordinary = [vm for vm in records["VM"] if not vm["is_a_template"] and not vm["is_control_domain"]]
    assert (len(records["host"]), len(ordinary), len(records["pool"])) == (hosts, vms, 1)
    assert len([vm for vm in records["VM"] if vm["is_control_domain"]]) == hosts
    last = records["VM"][-1]
    assert last["power_state"] == "Halted"
    assert not last["is_a_template"]
    assert "start" in last["allowed_operations"]
    for vm in ordinary:
        devices = [store.record(ref) for ref in vm["VBDs"]]
        assert [each["type"] for each in devices] == ["Disk", "Disk", *["CD"] * (vm["domain_type"] == "hvm")]
        assert all(each["empty"] == (each["VDI"] == NULL) for each in devices)
        assert (len(vm["VIFs"]), len(vm["consoles"])) == (2, 1)
        assert (vm["guest_metrics"] != NULL) == (vm["power_state"] in ("Running", "Paused"))
    for every in records.values():
        uuids = [record["uuid"] for record in every if "uuid" in record]
        assert len(set(uuids)) == len(uuids)
        assert not set(uuids) & {record.ref.removeprefix("OpaqueRef:") for record in every}
    macs = [vif["MAC"] for vif in records["VIF"] if not store.record(vif["VM"])["is_a_snapshot"]]
    assert len(set(macs)) == len(macs) == 2 * vms
    for sr in records["SR"]:
        assert 0 <= sr["physical_utilisation"] <= sr["physical_size"]
    startable = sum(vm["memory_dynamic_max"] + vm["memory_overhead"] for vm in ordinary if vm["resident_on"] == NULL)
    free = [metrics["memory_free"] for metrics in records["host_metrics"]]
    assert min(free) > 0
    assert sum(free) > startable


def check_references(store: Store) -> None:
    for name, cls in store.model.classes.items():
        for record in store.records(name) if cls.stored else ():
            for field in cls.fields.values():
                text = repr(record[field.name])
                for ref in re.findall(r"OpaqueRef:[0-9a-f-]+", text):
                    assert store.get(ref) is not None, f"{name}.{field.name}"


def test_built_in_pool(datamodel: Datamodel) -> None:
    store = made(datamodel)
    check_pool(store, hosts=2, vms=12)
    role.establish(store, datamodel)
    check_references(store)
    states = Counter(str(vm["power_state"]) for vm in store.records("VM") if not vm["is_control_domain"])
    assert set(states) == {"Running", "Halted", "Paused", "Suspended"}
    assert [host["name_label"] for host in store.records("host")] == ["xen01", "xen02"]
    kinds = {str(vm["domain_type"]) for vm in store.records("VM") if vm["is_default_template"]}
    assert kinds == {"pv", "pvh", "hvm"}
    firmwares = {vm["HVM_boot_params"].get("firmware") for vm in store.records("VM") if vm["is_default_template"]}
    assert "uefi" in firmwares
    pool = next(iter(store.records("pool")))
    assert store.record(pool["default_SR"])["shared"]
    assert store.record(pool["master"])["name_label"] == "xen01"
    assert sum(pif["management"] for pif in store.records("PIF")) == 2
    assert [network["name_label"] for network in store.records("network") if not network["PIFs"]] == ["Internal"]
    assert {sr["type"] for sr in store.records("SR")} == {"ext", "nfs", "iso"}
    assert all(pbd["currently_attached"] for pbd in store.records("PBD"))


@given(hosts=st.integers(1, 5), vms=st.integers(1, 40), seed=st.integers(0, 2**40))
@settings(max_examples=20, deadline=None)
def test_any_size(datamodel: Datamodel, hosts: int, vms: int, seed: int) -> None:
    check_pool(made(datamodel, hosts=hosts, vms=vms, seed=seed), hosts, vms)


def test_a_thousand_vms_fit(datamodel: Datamodel) -> None:
    check_pool(made(datamodel, vms=1000), hosts=2, vms=1000)


class Noon(datetime):
    """A clock that stands still: times are in texts, too."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=tz)


def test_same_seed_same_pool(datamodel: Datamodel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "datetime", Noon)
    assert objects(made(datamodel, seed=7)) == objects(made(datamodel, seed=7))


def test_other_seed_other_pool(datamodel: Datamodel) -> None:
    first, second = ({ref for ref, _ in objects(made(datamodel, seed=seed))} for seed in (7, 8))
    assert not first & second


def test_more_vms_change_nothing_about_the_others(datamodel: Datamodel) -> None:
    few, many = made(datamodel, vms=5), made(datamodel, vms=9)
    names = {vm["name_label"]: vm.ref for vm in many.records("VM")}
    for vm in few.records("VM"):
        assert names[vm["name_label"]] == vm.ref


def test_pool_is_made_only_once(datamodel: Datamodel, tmp_path: Path) -> None:
    store = Store(datamodel, tmp_path / "journal")
    population.populate(store, load())
    before = objects(store)
    store.close()
    store = Store(datamodel, tmp_path / "journal")
    population.populate(store, load(vms=3))
    assert objects(store) == before
    store.close()


@given(seed=st.integers(), number=st.integers(0, 16_516_095), other=st.integers(0, 16_516_095))
def test_mac_addresses(seed: int, number: int, other: int) -> None:
    first, second = population.mac(seed, number), population.mac(seed, other)
    assert re.fullmatch(r"00:16:3e(:[0-9a-f]{2}){3}", first)
    assert first[-2:] not in ("00", "ff")
    assert (first == second) == (number == other)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("seed = 1", "sead = 1", "sead is not known here"),
        ("seed = 1", "seed = 'x'", "seed has to be a whole number"),
        ("seed = 1", "seed = true", "seed has to be a whole number"),
        ("seed = 1", "", "seed is missing"),
        ("seed = 1", "seed = ", "is not TOML"),
        ('name = "Simulated pool"', "name = 3", "pool.name has to be a text"),
        ("count = 2", "count = 0", "hosts.count has to be between 1 and 64"),
        ("count = 12", "count = 0", "vms.count has to be between 1 and"),
        ("count = 12", "count = 12\nsize = 3", "vms.size is not known here"),
        ('name = "xen{number:02}"', 'name = "xen"', "hosts.name has to contain {number}"),
        ('name = "vm{number:05}"', 'name = "vm{nummer}"', "vms.name has to contain {number}"),
        ("sockets = 2", "sockets = 0", "hosts.cpu.sockets has to be more than 0"),
        ('device = "eth0"', 'device = ""', "networks has to have exactly one network with a device, a subnet"),
        ('subnet = "192.0.2.0/24"', 'subnet = ""', "networks has to have exactly one network with a device, a subnet"),
        ('subnet = "192.0.2.0/24"', 'subnet = "192.0.2.0/33"', "networks[0].subnet has to be an IPv4 network"),
        ("default = true", "default = false", "storage has to have exactly one with default = true"),
        ("size_gib = 894", "size_gib = 0", "storage[0].size_gib has to be more than 0"),
        ("size_mib = 629", "size_mib = '629'", "storage[2].images[0].size_mib has to be a whole number"),
        ('device = { location = "198.51.100.200:/export/iso" }', "device = 3", "storage[2].device has to be a table"),
        ('kind = "pv"', 'kind = "vm"', "templates[0].kind has to be one of pv, pvh, hvm"),
        ('firmware = "uefi"', 'firmware = "efi"', "templates[3].firmware has to be one of bios, uefi"),
        ("memory_mib = 512", "memory_mib = -1", "templates[0].memory_mib has to be more than 0"),
        ('states = ["Running",', 'states = ["Sleeping",', "vms.states[0] has to be one of"),
        ("disks_gib = [8, 32]", "disks_gib = [8, 0]", "vms.disks_gib[1] has to be more than 0"),
        ("disks_gib = [8, 32]", f"disks_gib = {[1] * 17}", "vms.disks_gib has to have at most 16 disks"),
        ("disks_gib = [8, 32]", "disks_gib = 8", "vms.disks_gib has to be a list"),
        ('eth0", "Internal"]', 'eth0", "Outer"]', "vms.networks[1] has to be the name of one of the networks"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in BUILT_IN
    path = tmp_path / "pool.toml"
    path.write_text(BUILT_IN.replace(old, new, 1), "utf-8")
    with pytest.raises(ScenarioError) as refused:
        load(path)
    assert str(path) in str(refused.value)
    assert problem in str(refused.value)
    assert str(refused.value).endswith(".")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("overrides", [{"hosts": 0}, {"hosts": 65}, {"vms": 0}, {"vms": 100_001}])
def test_overrides_are_checked(overrides: dict[str, int]) -> None:
    with pytest.raises(ScenarioError, match="has to be between 1 and"):
        load(**overrides)
