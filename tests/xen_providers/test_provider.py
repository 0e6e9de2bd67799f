"""The provider as its host sees it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cim_provider import CimError, Status
from cim_provider.threaded import ThreadedHost
from xen_providers import provider as provider_module
from xen_providers.provider import CLASSES, XenProvider


async def test_without_a_pool_reading_fails_with_the_reason(pool, monkeypatch):
    monkeypatch.setattr(provider_module, "FIRST_READ", 0.05)
    await pool.stop()
    provider = XenProvider(pool.url("unix"))
    await provider.start()
    with pytest.raises(CimError) as error:
        provider.view()
    assert error.value.status is Status.FAILED
    assert "cannot be read" in error.value.description
    assert "cannot be reached" in error.value.description
    await pool.start()
    async with asyncio.timeout(10):
        while True:
            try:
                assert provider.view().instances("Xen_ComputerSystem")
                break
            except CimError:
                await asyncio.sleep(0.01)
    await provider.stop()


async def test_the_same_sequence_as_long_as_nothing_changed(provider, xen, halted, until, system_name):
    view = provider.view()
    systems = {mapped.name: view.instances(mapped.name) for mapped in CLASSES}
    name = await system_name(halted)
    await xen.call("VM.set_name_label", halted, "renamed")
    await until(lambda view: view.instance(name).get("ElementName") == "renamed")
    after = provider.view()
    changed = {each for each, instances in systems.items() if after.instances(each) is not instances}
    assert changed == {
        each
        for each, instances in systems.items()
        if [found.properties for found in after.instances(each)] != [found.properties for found in instances]
    }
    assert changed >= {"Xen_ComputerSystem", "Xen_ComputerSystemSettingData"}
    assert not changed & {"Xen_HostComputerSystem", "Xen_HostedComputerSystem", "Xen_Disk"}
    for before, now in zip(systems["Xen_ComputerSystem"], after.instances("Xen_ComputerSystem"), strict=True):
        assert (before is now) == (before.name != name)
    assert view.instance(name).get("ElementName") != "renamed", "an old view stays what it was"


async def test_declarations_name_what_is_served(provider):
    declared = provider.declarations
    assert declared["Xen_ComputerSystem"].keys == ["CreationClassName", "Name"]
    assert declared["Xen_HostedComputerSystem"].ends == {
        "Antecedent": "Xen_HostComputerSystem",
        "Dependent": "Xen_ComputerSystem",
    }
    assert declared["Xen_ComputerSystemModification"].is_indication
    for name, declaration in declared.items():
        for instance in provider.view().instances(name):
            assert set(instance.properties) <= set(declaration.properties)
            assert instance.name.class_name == name
            assert {key for key, _ in instance.name.keys} == set(declaration.keys)


async def test_a_change_that_cannot_be_followed_does_not_last(provider, xen, halted, until, system_name, monkeypatch):
    name = await system_name(halted)
    with monkeypatch.context() as broken:
        broken.setattr(type(provider.view()), "following", lambda *_: 1 / 0)
        await xen.call("VM.set_name_label", halted, "missed")
        token = await xen.call("event.inject", "VM", halted)
        assert await provider._inventory.wait_beyond(token, 5)
    assert provider.view().instance(name).get("ElementName") != "missed"
    await xen.call("VM.set_name_description", halted, "noticed")
    await until(lambda view: view.instance(name).get("Description") == "noticed")
    assert provider.view().instance(name).get("ElementName") == "missed"


async def test_many_threads_read_and_invoke_while_a_vm_changes(
    pool, context_of, xen, halted, system_name, authenticator
):
    """As a CMPI broker would: no loop, many threads, indications from the provider's own."""
    name = await system_name(halted)
    host = ThreadedHost(XenProvider(pool.url("unix")))
    await asyncio.to_thread(host.start)
    context = await context_of("root")
    # The caller's session belongs to the authenticator's loop, so its calls are made there.
    loop, call = asyncio.get_running_loop(), type(context.principal).call

    async def call_there(self, method, *parameters):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(self, method, *parameters), loop))

    told: list[tuple[str, int, int]] = []
    done = threading.Event()

    def sink(indication) -> None:
        states = (indication.instance.get(each).get("EnabledState") for each in ("PreviousInstance", "SourceInstance"))
        told.append((threading.current_thread().name, *states))

    def read() -> int:
        count = 0
        while not done.is_set():
            view = host.view()
            system = view.instance(name)
            (pair,) = view.references("Xen_ComputerSystemSettingsDefineState", name)
            hosted = view.references("Xen_HostedComputerSystem", name)
            assert pair.properties["ManagedElement"] == name
            assert (system.get("Host") is not None) == bool(hosted), "one view, one moment"
            assert (system.get("EnabledState") == 2) == bool(hosted)
            assert len(view.instances("Xen_ComputerSystem")) == len(view.instances("Xen_ComputerSystemSettingData"))
            count += 1
            done.wait(0.0005)
        return count

    def invoke() -> list[int]:
        states = []
        for state in (2, 3, 2, 3):
            job = host.invoke_method(context, name, "RequestStateChange", {"RequestedState": state}).outputs["Job"]
            while (found := host.view().instance(job)).get("JobState") == 4:
                done.wait(0.001)
            states.append(found.get("JobState"))
            host.delete_instance(context, job)
        return states

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(context.principal), "call", call_there)
        end = await asyncio.to_thread(host.watch, ["Xen_ComputerSystemModification"], sink)
        readers = [asyncio.create_task(asyncio.to_thread(read)) for _ in range(4)]
        states = await asyncio.to_thread(invoke)
        done.set()
        assert all(await asyncio.gather(*readers))
        await asyncio.to_thread(end)
        await asyncio.to_thread(host.stop)
    assert states == [7, 7, 7, 7]
    assert told == [("cim-provider", 3, 2), ("cim-provider", 2, 3)] * 2
