"""/rrd_updates: what data sources tell, to who has a session."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import httpx
import pytest

from netserve.doors import Door
from tests.support.bridge_process import short_folder
from xenapi_client import Connection, XenApiError, XenApiUnavailable
from xenapi_core.server import Settings, XenApiServer


@pytest.fixture
async def server():
    folder = short_folder()
    doors = [Door("unix", path=folder / "api.sock", authentication="peer"), Door("open", authentication="none")]
    server = XenApiServer(Settings(folder / "state", doors, folder / "users", hosts=2, vms=4, seed=1))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def xen(server):
    connection = Connection(server.doors[0].url)
    yield connection
    await connection.close()


def names(body: bytes) -> list[str]:
    return [each.text for each in ElementTree.fromstring(body).iter("entry")]


async def test_machines_that_run_are_told_and_hosts_if_asked_for(xen):
    running = {
        each["uuid"]: ref
        for ref, each in (await xen.call("VM.get_all_records")).items()
        if each["power_state"] == "Running"
    }
    told = names(await xen.download("/rrd_updates", {"start": "0", "host": "true"}))
    assert {each.split(":")[2] for each in told if ":vm:" in each} == set(running)
    hosts = await xen.call("host.get_all_records")
    assert {each.split(":")[2] for each in told if ":host:" in each} == {each["uuid"] for each in hosts.values()}
    assert len(told) == len(set(told))
    uuid, ref = next(iter(running.items()))
    sources = [each["name_label"] for each in await xen.call("VM.get_data_sources", ref)]
    assert names(await xen.download("/rrd_updates", {"vm_uuid": uuid, "cf": "MAX"})) == [
        f"MAX:vm:{uuid}:{each}" for each in sources
    ]
    sr = next(iter((await xen.call("SR.get_all_records")).values()))
    told = names(await xen.download("/rrd_updates", {"vm_uuid": "none", "sr_uuid": sr["uuid"]}))
    assert told == [f"AVERAGE:sr:{sr['uuid']}:{name}" for name in ("physical_utilisation", "virtual_allocation")]


async def test_xml_and_json_say_the_same(xen):
    query = {"start": "-10", "host": "true", "vm_uuid": "none"}
    as_xml = ElementTree.fromstring(await xen.download("/rrd_updates", query))
    as_json = json.loads(await xen.download("/rrd_updates", {**query, "json": "true"}))
    assert as_json["meta"]["legend"] == [each.text for each in as_xml.iter("entry")]
    assert as_json["meta"]["columns"] == int(as_xml.findtext("meta/columns")) == len(as_json["data"][0]["values"])
    (row,) = as_xml.iter("row")
    assert len(list(row.iter("v"))) == as_json["meta"]["columns"]
    memory = as_json["meta"]["legend"].index(next(each for each in as_json["meta"]["legend"] if "memory_total" in each))
    assert float(list(row.iter("v"))[memory].text) == as_json["data"][0]["values"][memory] > 0


async def test_without_a_session_nothing_is_told(server, xen):
    async with httpx.AsyncClient(base_url=server.doors[1].url) as client:
        assert (await client.get("/rrd_updates")).status_code == 401
        assert (await client.get("/rrd_updates", params={"session_id": "OpaqueRef:x"})).status_code == 401
        assert (await client.get("/rrd_updates", headers={"Cookie": 'session_id="'})).status_code == 401
        assert (await client.get("/elsewhere")).status_code == 405
        session = await xen.login()
        answer = await client.get("/rrd_updates", params={"session_id": session})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
        for wrong in ({"start": "yesterday"}, {"start": "inf"}, {"cf": "SUM"}):
            assert (await client.get("/rrd_updates", params={"session_id": session, **wrong})).status_code == 400


async def test_a_download_renews_the_session_and_has_bounds(xen):
    await xen.call("session.logout")
    assert names(await xen.download("/rrd_updates", {}))
    with pytest.raises(XenApiUnavailable, match="more than 10 bytes"):
        await xen.download("/rrd_updates", {}, 10)
    with pytest.raises(XenApiUnavailable, match="status 405"):
        await xen.download("/elsewhere", {})


async def test_who_does_not_log_in_again_is_told_that_the_session_ended(server):
    connection = Connection(server.doors[0].url, relogin=False)
    await connection.login()
    await connection.call("session.logout")
    with pytest.raises(XenApiError, match="SESSION_INVALID"):
        await connection.download("/rrd_updates", {})
    await connection.close()
