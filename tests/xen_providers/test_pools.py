"""The pool of hosts, compared with what the Xen-API says."""

from __future__ import annotations

from model_pairs import pairs


async def test_the_pool_says_what_the_record_says(provider, xen):
    (record,) = (await xen.call("pool.get_all_records")).values()
    (pool,) = provider.view().instances("Xen_HostPool")
    assert pool.get("InstanceID") == f"Xen:{record['uuid']}"
    assert (pool.get("ElementName"), pool.get("Description")) == (record["name_label"], record["name_description"])
    assert pool.get("HighAvailabilityEnabled") == record["ha_enabled"]
    assert pool.get("Master") == await xen.call("host.get_uuid", record["master"])
    assert pool.get("DefaultStoragePoolID") == await xen.call("SR.get_uuid", record["default_SR"])
    default = [
        each
        for each in provider.view().instances("Xen_StoragePool")
        if each.get("PoolID") == pool.get("DefaultStoragePoolID")
    ]
    assert [each.get("Shared") for each in default] == [True]


async def test_all_hosts_are_members_and_the_master_hosts_the_pool(provider, xen):
    ((ref, record),) = (await xen.call("pool.get_all_records")).items()
    view, pool_id = provider.view(), f"Xen:{await xen.call('pool.get_uuid', ref)}"
    hosts = {each["uuid"] for each in (await xen.call("host.get_all_records")).values()}
    assert pairs(view, "Xen_MemberOfHostPool", "Collection", "Member") == {(pool_id, each) for each in hosts}
    assert len(hosts) == 2
    master = await xen.call("host.get_uuid", record["master"])
    assert pairs(view, "Xen_HostedHostPool", "Antecedent", "Dependent") == {(master, pool_id)}


async def test_a_pool_without_default_storage_names_none(provider, xen, until):
    (ref,) = await xen.call("pool.get_all")
    await xen.call("pool.set_default_SR", ref, "OpaqueRef:NULL")
    await until(lambda view: view.instances("Xen_HostPool")[0].get("DefaultStoragePoolID") is None)
