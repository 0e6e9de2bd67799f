"""What is done with a pool as a whole, on one of the test's own."""

from __future__ import annotations

import pytest

from xen_providers.access import XenPrincipal


async def test_a_host_leaves(provider, context, xen):
    (pool,) = (await xen.call("pool.get_all_records")).values()
    hosts = await xen.call("host.get_all_records")
    ref, host = next((ref, each) for ref, each in hosts.items() if ref != pool["master"])
    target = provider.view().instances("Xen_HostPool")[0].name
    for vm, record in (await xen.call("VM.get_all_records")).items():
        if record["resident_on"] == ref and not record["is_control_domain"]:
            assert (await provider.invoke_method(context, target, "RemoveHost", {"Host": host["uuid"]})).value == 2
            await xen.call("VM.hard_shutdown", vm)
    result = await provider.invoke_method(context, target, "RemoveHost", {"Host": host["uuid"]})
    assert result.value == 0
    assert ref not in await xen.call("host.get_all")
    shown = [each.get("Name") for each in provider.view().instances("Xen_HostComputerSystem")]
    assert host["uuid"] not in shown
    assert len(shown) == len(hosts) - 1


@pytest.mark.parametrize("method", ["EnableHighAvailability", "DisableHighAvailability"])
async def test_high_availability_is_what_the_xen_api_makes_of_it(provider, context, xen, monkeypatch, method):
    """The simulated pool has none, so what it is asked for is looked at instead."""
    asked = []

    async def call(principal, message, *parameters):
        asked.append((message, *parameters))

    monkeypatch.setattr(XenPrincipal, "call", call)
    target = provider.view().instances("Xen_HostPool")[0].name
    assert (await provider.invoke_method(context, target, method, {})).value == 0
    (pool,) = (await xen.call("pool.get_all_records")).values()
    wanted = ("pool.enable_ha", [pool["default_SR"]], {}) if method.startswith("Enable") else ("pool.disable_ha",)
    assert asked == [wanted]
