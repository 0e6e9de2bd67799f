"""Clones, copies, provisioned templates, snapshots, checkpoints, reverting: examples, failures, random walks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from xenapi_core.datamodel import NULL, Datamodel, XenApiError
from xenapi_core.hypervisors.interface import HypervisorError
from xenapi_core.hypervisors.simulated import Timings

GIB = 1 << 30


async def refused(call: Any) -> str:
    with pytest.raises(XenApiError) as error:
        await call
    return error.value.code


def disks(pool: Any, vm: str) -> list[str]:
    """Return the images of a VM's disks."""
    return [pool.record(vbd)["VDI"] for vbd in pool.record(vm)["VBDs"] if pool.record(vbd)["type"] == "Disk"]


def counts(pool: Any) -> dict[str, int]:
    classes = ("VM", "VDI", "VBD", "VIF", "VM_metrics", "VBD_metrics", "VIF_metrics")
    return {name: len(list(pool.store.records(name))) for name in classes}


def check_space(pool: Any) -> None:
    """Check that repositories count what their images take."""
    for sr in pool.store.records("SR"):
        images = [image for image in pool.store.records("VDI") if image["SR"] == sr.ref]
        assert sr["physical_utilisation"] == sum(image["physical_utilisation"] for image in images)
        assert sr["virtual_allocation"] == sum(image["virtual_size"] for image in images)


async def test_clone(pool: Any) -> None:
    vm, before = pool.vm("Halted"), counts(pool)
    made = await pool.do("VM.clone", vm, "a clone")
    first, second = pool.record(vm), pool.record(made)
    assert second["name_label"] == "a clone"
    assert second["uuid"] != first["uuid"]
    assert second["memory_static_max"] == first["memory_static_max"]
    assert (second["is_a_snapshot"], second["snapshot_of"]) == (False, NULL)
    assert not set(disks(pool, vm)) & set(disks(pool, made))
    assert [pool.record(image)["virtual_size"] for image in disks(pool, made)] == [
        pool.record(image)["virtual_size"] for image in disks(pool, vm)
    ]
    addresses = [{pool.record(vif)["MAC"] for vif in record["VIFs"]} for record in (first, second)]
    assert not addresses[0] & addresses[1]
    assert counts(pool)["VDI"] == before["VDI"] + 2
    check_space(pool)
    await pool.do("VM.start", made, False)
    assert pool.record(made)["power_state"] == "Running"


async def test_copy_to_another_repository(pool: Any) -> None:
    vm = pool.vm("Halted")
    local = next(sr.ref for sr in pool.store.records("SR") if not sr["shared"])
    made = await pool.do("VM.copy", vm, "a copy", local)
    assert {pool.record(image)["SR"] for image in disks(pool, made)} == {local}
    assert all(pool.record(image)["physical_utilisation"] for image in disks(pool, made))
    check_space(pool)


async def test_a_running_vm_is_not_cloned(pool: Any) -> None:
    assert await refused(pool.do("VM.clone", pool.vm("Running"), "x")) == "VM_BAD_POWER_STATE"


@pytest.mark.parametrize("failure", [HypervisorError("The disk is broken."), asyncio.CancelledError()])
async def test_a_copy_that_fails_half_way_leaves_nothing(
    pool: Any, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    vm, before, calls = pool.vm("Halted"), counts(pool), []
    record = dict(pool.record(vm).items())

    async def copy_image(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise failure

    for hypervisor in pool.fleet.values():
        monkeypatch.setattr(hypervisor, "copy_image", copy_image)
    with pytest.raises((XenApiError, asyncio.CancelledError)):
        await pool.do("VM.copy", vm, "x", NULL)
    assert counts(pool) == before
    assert dict(pool.record(vm).items()) == record
    check_space(pool)


async def test_a_cancelled_copy_leaves_nothing(make_pool: Any) -> None:
    pool = make_pool(timings=Timings(copy=60.0))
    vm, before = pool.vm("Halted"), counts(pool)
    copy = asyncio.create_task(pool.do("VM.copy", vm, "x", NULL))
    while not pool.record(vm)["current_operations"]:
        await asyncio.sleep(0)
    copy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copy
    assert counts(pool) == before
    assert not pool.record(vm)["current_operations"]


async def test_without_room_nothing_is_made(pool: Any) -> None:
    vm, before = pool.vm("Halted"), counts(pool)
    for sr in pool.store.records("SR"):
        pool.update(sr.ref, physical_size=sr["physical_utilisation"])
    assert await refused(pool.do("VM.copy", vm, "x", NULL)) == "SR_FULL"
    assert counts(pool) == before


async def test_provision_makes_the_disks_that_the_template_tells_of(pool: Any) -> None:
    template = next(vm for vm in pool.store.records("VM") if vm["is_default_template"])
    made = await pool.do("VM.clone", template.ref, "new")
    sr = next(sr for sr in pool.store.records("SR") if not sr["shared"])
    text = (
        f'<provision><disk device="0" size="{8 * GIB}" sr="{sr["uuid"]}" bootable="true" type="system"/>'
        f'<disk device="1" size="{GIB}" sr="" bootable="false" type="user"/></provision>'
    )
    pool.update(made, other_config={"disks": text, "kept": "yes"})
    await pool.do("VM.provision", made)
    record = pool.record(made)
    assert not record["is_a_template"]
    assert record["other_config"] == {"kept": "yes"}
    found = [pool.record(image) for image in disks(pool, made)]
    default = next(iter(pool.store.records("pool")))["default_SR"]
    assert [(image["SR"], image["virtual_size"]) for image in found] == [(sr.ref, 8 * GIB), (default, GIB)]
    assert [pool.record(vbd)["bootable"] for vbd in record["VBDs"]] == [True, False]
    assert await refused(pool.do("VM.provision", made)) == "PROVISION_ONLY_ALLOWED_ON_TEMPLATE"


@pytest.mark.parametrize(
    "text",
    ["<provision", '<provision><disk size="1"/></provision>', '<p><disk device="0" size="many"/></p>', "<!DOCTYPE x>"],
)
async def test_disks_that_cannot_be_read(pool: Any, text: str) -> None:
    template = next(vm.ref for vm in pool.store.records("VM") if vm["is_a_template"])
    pool.update(template, other_config={"disks": text})
    before = counts(pool)
    assert await refused(pool.do("VM.provision", template)) == "INVALID_VALUE"
    assert counts(pool) == before
    assert not pool.record(template)["current_operations"]


async def test_snapshots_form_a_tree(pool: Any) -> None:
    vm = pool.vms("Running")[1].ref
    first = await pool.do("VM.snapshot", vm, "first")
    second = await pool.do("VM.snapshot", vm, "second")
    assert pool.record(vm)["snapshots"] == (first, second)
    assert pool.record(vm)["parent"] == second
    assert pool.record(second)["parent"] == first
    assert pool.record(second)["children"] == (vm,)
    record = pool.record(first)
    assert (record["is_a_snapshot"], record["is_a_template"], record["power_state"]) == (True, True, "Halted")
    assert record["snapshot_info"]["power-state-at-snapshot"] == "Running"
    assert [pool.record(image)["snapshot_of"] for image in disks(pool, first)] == disks(pool, vm)
    await pool.do("VM.revert", first)
    assert pool.record(vm)["parent"] == first
    await pool.do("VM.destroy", first)
    assert pool.record(vm)["parent"] == pool.record(second)["parent"] == NULL


async def test_some_disks_can_be_left_out(pool: Any) -> None:
    vm = pool.vm("Running")
    made = await pool.do("VM.snapshot", vm, "x", disks(pool, vm)[:1])
    assert len(disks(pool, made)) == 1


async def test_revert_brings_back_settings_and_disks_in_one_step(pool: Any) -> None:
    vm = pool.vm("Halted")
    snapshot = await pool.do("VM.snapshot", vm, "x")
    before = pool.record(vm)
    await pool.do("VM.set_memory", vm, before["memory_static_max"] * 2)
    await pool.do("VM.set_name_label", vm, "renamed")
    old, number = disks(pool, vm), counts(pool)
    await pool.do("VM.start", vm, False)
    await pool.do("VM.revert", snapshot)
    after = pool.record(vm)
    assert (after["name_label"], after["memory_static_max"]) == (before["name_label"], before["memory_static_max"])
    assert (after["power_state"], after["uuid"]) == ("Halted", before["uuid"])
    assert not set(old) & set(disks(pool, vm))
    assert all(pool.store.get(image) is None for image in old)
    assert counts(pool) == number
    check_space(pool)


async def test_checkpoint_keeps_the_memory(pool: Any) -> None:
    vm = pool.vm("Running")
    snapshot = await pool.do("VM.checkpoint", vm, "x")
    record = pool.record(snapshot)
    assert pool.record(vm)["power_state"] == "Running"
    assert record["power_state"] == "Suspended"
    assert pool.record(record["suspend_VDI"])["type"] == "suspend"
    await pool.do("VM.hard_shutdown", vm)
    await pool.do("VM.revert", snapshot)
    assert pool.record(vm)["power_state"] == "Suspended"
    assert pool.record(vm)["suspend_VDI"] != record["suspend_VDI"]
    await pool.do("VM.resume", vm, False)
    assert pool.record(vm)["power_state"] == "Running"
    check_space(pool)


async def test_only_snapshots_can_be_reverted_to(pool: Any) -> None:
    assert await refused(pool.do("VM.revert", pool.vm("Halted"))) == "REVERT_ONLY_ALLOWED_ON_SNAPSHOT"
    vm = pool.vm("Halted")
    snapshot = await pool.do("VM.snapshot", vm, "x")
    await pool.do("VM.destroy", vm)
    assert await refused(pool.do("VM.revert", snapshot)) == "OPERATION_NOT_ALLOWED"
    assert not pool.record(snapshot)["current_operations"]


class Walk(RuleBasedStateMachine):
    """VMs, their snapshots and the number of images beside a model of them, through random calls."""

    make: Any

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.pool = self.make(vms=1, hosts=1)
        self.vms: dict[str, str] = {self.pool.vm("Halted"): NULL}
        """The VMs and their parents."""
        self.snapshots: dict[str, tuple[str, str]] = {}
        """The snapshots: of which VM, and their parents."""
        self.images = counts(self.pool)["VDI"]

    def do(self, message: str, *arguments: Any) -> Any:
        return self.loop.run_until_complete(self.pool.do(message, *arguments))

    @rule(data=st.data())
    def clone(self, data: Any) -> None:
        source = data.draw(st.sampled_from([*self.vms, *self.snapshots]) if self.vms else st.none())
        if source:
            made = self.do("VM.clone", source, "clone")
            if source in self.vms:
                self.vms[made] = NULL
            else:
                self.do("VM.set_is_a_template", made, False)
                self.vms[made] = source
            self.images += 2

    @rule(data=st.data())
    def snapshot(self, data: Any) -> None:
        if self.vms:
            vm = data.draw(st.sampled_from(list(self.vms)))
            made = self.do("VM.snapshot", vm, "snapshot")
            self.snapshots[made], self.vms[vm] = (vm, self.vms[vm]), made
            self.images += 2

    @rule(data=st.data())
    def revert(self, data: Any) -> None:
        if self.snapshots:
            snapshot = data.draw(st.sampled_from(list(self.snapshots)))
            vm = self.snapshots[snapshot][0]
            if vm in self.vms:
                self.do("VM.revert", snapshot)
                self.vms[vm] = snapshot

    @rule(data=st.data())
    def destroy(self, data: Any) -> None:
        if self.vms or self.snapshots:
            gone = data.draw(st.sampled_from([*self.vms, *self.snapshots]))
            self.do("VM.destroy", gone)
            parent = self.vms.pop(gone) if gone in self.vms else self.snapshots.pop(gone)[1]
            self.vms = {vm: parent if at == gone else at for vm, at in self.vms.items()}
            self.snapshots = {
                ref: (NULL if vm == gone else vm, parent if at == gone else at)
                for ref, (vm, at) in self.snapshots.items()
            }

    @invariant()
    def agrees(self) -> None:
        made = [vm for vm in self.pool.store.records("VM") if not vm["is_control_domain"]]
        found = {vm.ref: vm["parent"] for vm in made if not vm["is_a_template"]}
        assert found == self.vms
        snapshots = {vm.ref: (vm["snapshot_of"], vm["parent"]) for vm in made if vm["is_a_snapshot"]}
        assert snapshots == self.snapshots
        assert counts(self.pool)["VDI"] == self.images
        check_space(self.pool)
        assert all(len(disks(self.pool, ref)) == 2 for ref in (*self.vms, *self.snapshots))

    def teardown(self) -> None:
        self.loop.close()


def test_random_walks(make_pool: Any) -> None:
    """Compare VMs, their snapshots and the number of images with a model through random calls."""
    walk = type("TestedWalk", (Walk,), {"make": staticmethod(make_pool)})
    run_state_machine_as_test(walk, settings=settings(max_examples=15, stateful_step_count=12, deadline=None))


def test_quiesced_snapshots_are_gone(datamodel: Datamodel) -> None:
    assert "VM.snapshot_with_quiesce" in datamodel.removed
    assert "VM.snapshot_with_quiesce" not in datamodel.messages
