"""The pool managed through CIM-XML, with what came of it asked of the Xen-API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pywbem
import XenAPI

from tests.support.management import FAILED, INVALID_PARAMETER, OK, named


@pytest.fixture
def call(call_of) -> Callable[..., tuple[int, Any]]:
    return call_of("Xen_HostPool")


@pytest.fixture
def pool(xenapi) -> str:
    return xenapi.pool.get_all()[0]


def test_it_is_named(call, xenapi, pool, wbem):
    assert call("Create", Name="our pool", Description="all of it") == (OK, {})
    assert (xenapi.pool.get_name_label(pool), xenapi.pool.get_name_description(pool)) == ("our pool", "all of it")
    (shown,) = wbem.EnumerateInstances("Xen_HostPool")
    assert (shown["ElementName"], shown["Description"]) == ("our pool", "all of it")
    assert call("Create", Name="renamed") == (OK, {})
    assert xenapi.pool.get_name_description(pool) == "all of it"


def test_its_default_storage_is_chosen(call, xenapi, pool):
    before = xenapi.pool.get_default_SR(pool)
    other = next(ref for ref in xenapi.SR.get_all() if ref != before)
    path = named("Xen_StoragePool", InstanceID=f"Xen:Shared/{xenapi.SR.get_uuid(other)}")
    assert call("SetDefaultStoragePool", StoragePool=path) == (OK, {})
    assert xenapi.pool.get_default_SR(pool) == other
    assert call("SetDefaultStoragePool", StoragePool=xenapi.SR.get_uuid(before)) == (OK, {})


@pytest.mark.parametrize("method", ["EnableHighAvailability", "DisableHighAvailability"])
def test_a_pool_without_high_availability_says_so(call, xenapi, method):
    with pytest.raises(XenAPI.Failure, match="MESSAGE_METHOD_UNKNOWN"):
        xenapi.pool.disable_ha()
    with pytest.raises(pywbem.CIMError) as refused:
        call(method)
    assert refused.value.status_code == pywbem.CIM_ERR_NOT_SUPPORTED


def test_the_master_cannot_leave(call, xenapi, pool):
    master = xenapi.pool.get_master(pool)
    assert call("RemoveHost", Host=xenapi.host.get_uuid(master)) == (FAILED, {})
    assert master in xenapi.host.get_all()


def test_what_is_wrong(call):
    for method, wrong in [
        ("Create", {}),
        ("Create", {"Name": ""}),
        ("RemoveHost", {}),
        ("RemoveHost", {"Host": "nobody"}),
        ("SetDefaultStoragePool", {}),
        ("SetDefaultStoragePool", {"StoragePool": "nowhere"}),
    ]:
        assert call(method, **wrong) == (INVALID_PARAMETER, {}), (method, wrong)
