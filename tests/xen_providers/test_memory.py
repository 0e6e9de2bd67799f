"""Memory of virtual machines and of hosts, compared with what the Xen-API says."""

from __future__ import annotations

from xen_providers.memory import _mebibytes

MIB = 1 << 20


async def test_memory_of_machines(xen, provider):
    await provider.refresh(["Xen_Memory", "Xen_MemorySettingData"])
    machines = [each for each in (await xen.call("VM.get_all_records")).values() if not each["is_a_template"]]
    metrics = await xen.call("VM_metrics.get_all_records")
    found = provider.view().instances("Xen_Memory")
    for each, record in zip(found, machines, strict=True):
        size, actual = int(record["memory_dynamic_max"]), int(metrics[record["metrics"]]["memory_actual"])
        assert each.get("DeviceID") == f"Xen:{record['uuid']}/Memory"
        assert (each.get("SystemName"), each.get("ElementName")) == (record["uuid"], record["name_label"])
        assert each.get("BlockSize") * each.get("NumberOfBlocks") == size
        assert each.get("ConsumableBlocks") == actual
        # Addresses are in KiB, as the DMTF has it.
        assert (each.get("StartingAddress"), each.get("EndingAddress")) == (0, size // 1024 - 1)
        assert (each.get("Volatile"), each.get("EnabledState"), each.get("RequestedState")) == (True, 5, 12)
    assert {each.get("ConsumableBlocks") == 0 for each in found} == {True, False}


async def test_memory_of_hosts_and_their_pools(xen, provider):
    await provider.refresh(["Xen_HostMemory", "Xen_MemoryPool"])
    hosts = list((await xen.call("host.get_all_records")).values())
    metrics = await xen.call("host_metrics.get_all_records")
    view = provider.view()
    memories, pools = view.instances("Xen_HostMemory"), view.instances("Xen_MemoryPool")
    for memory, pool, host in zip(memories, pools, hosts, strict=True):
        total, free = (int(metrics[host["metrics"]][f"memory_{each}"]) for each in ("total", "free"))
        assert memory.get("DeviceID") == f"Xen:{host['uuid']}/Memory"
        assert (memory.get("NumberOfBlocks"), memory.get("ConsumableBlocks")) == (total, free)
        assert memory.get("EndingAddress") == total // 1024 - 1
        assert pool.get("InstanceID") == f"Xen:{host['uuid']}/MemoryPool"
        assert (pool.get("PoolID"), pool.get("ResourceType"), pool.get("ResourceSubType")) == (
            host["uuid"],
            4,
            "Xen Memory",
        )
        assert (pool.get("Capacity"), pool.get("Reserved"), pool.get("AllocationUnits")) == (
            total,
            total - free,
            "byte",
        )
        assert 0 < free < total


async def test_settings_are_in_mebibytes(xen, provider):
    await provider.refresh(["Xen_MemorySettingData"])
    records = list((await xen.call("VM.get_all_records")).values())
    metrics = await xen.call("VM_metrics.get_all_records")
    found = provider.view().instances("Xen_MemorySettingData")
    seen = set()
    for each, record in zip(found, records, strict=True):
        actual = int(metrics[record["metrics"]]["memory_actual"])
        assert each.get("InstanceID") == f"Xen:{record['uuid']}/Memory"
        assert each.get("AllocationUnits") == "byte*2^20"
        assert each.get("VirtualQuantity") == (actual or int(record["memory_static_max"])) // MIB
        assert each.get("Reservation") == int(record["memory_dynamic_min"]) // MIB
        assert each.get("Limit") == int(record["memory_dynamic_max"]) // MIB
        assert (each.get("ResourceType"), each.get("ConsumerVisibility")) == (4, 2)
        seen.add(actual > 0)
    assert seen == {True, False}


async def test_what_can_be_allocated_of_memory_is_not_the_pool(xen, provider):
    """The dispatch slip of earlier providers: they gave the properties of the pool."""
    view = provider.view()
    hosts = await xen.call("host.get_all_records")
    metrics = await xen.call("host_metrics.get_all_records")
    found = view.instances("Xen_MemoryAllocationCapabilities")
    for each, host in zip(found, hosts.values(), strict=True):
        assert each.get("InstanceID") == f"Xen:{host['uuid']}/MemoryAllocationCapabilities"
        assert (each.get("ResourceType"), each.get("SharingMode"), each.get("Capacity")) == (4, 2, None)
        assert each.get("SupportedAddStates") == [3]
        total = int(metrics[host["metrics"]]["memory_total"])
        quantities = {
            pair.get("PartComponent").get("InstanceID"): (
                view.instance(pair.get("PartComponent")).get("VirtualQuantity"),
                pair.get("ValueRole"),
                pair.get("ValueRange"),
            )
            for pair in view.references("Xen_MemorySettingsDefineCapabilities", each.name, "GroupComponent")
        }
        assert quantities == {
            f"Xen:{host['uuid']}/MemoryMinimum": (64 * MIB, 3, 1),
            f"Xen:{host['uuid']}/MemoryMaximum": (total, 3, 2),
            f"Xen:{host['uuid']}/MemoryIncrement": (64 * MIB, 3, 3),
            f"Xen:{host['uuid']}/MemoryDefault": (256 * MIB, 0, 0),
        }


def test_sizes_are_rounded_to_the_nearest_mebibyte():
    sizes = ("0", MIB // 2 - 1, MIB // 2, MIB, 3 * MIB - 1)
    assert [_mebibytes(size) for size in sizes] == [0, 0, 1, 1, 3]
