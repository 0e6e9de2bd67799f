"""JSON-RPC 1.0 and 2.0: requests as clients write them, answers as clients read them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netserve.doors import Door
from xenapi_core.datamodel.types import of
from xenapi_core.limits import DEFAULT
from xenapi_core.wire.codec import MalformedError
from xenapi_core.wire.jsonrpc import NOBODY, Encoder, decode

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture
async def client(api):
    await api.login()
    return api


async def post(api: Any, request: Any, status: int = 200) -> Any:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    response = await api.post(body, path="/jsonrpc")
    assert response.status == status
    assert response.headers[0] == ("Content-Type", "application/json")
    return json.loads(b"".join(response.body))


async def test_both_versions_log_in_and_read(api):
    session = (await post(api, {"id": 0, "method": "session.login_with_password", "params": ["u", "p"]}))["result"]
    answer = await post(api, {"jsonrpc": "2.0", "id": "x", "method": "VM.get_all", "params": [session]})
    assert set(answer) == {"jsonrpc", "result", "id"}
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", "x")
    old = await post(api, {"id": 1, "method": "VM.get_all", "params": [session]})
    assert old == {"error": None, "result": answer["result"], "id": 1}


async def test_errors_have_the_form_of_their_version(client):
    request = {"id": 1, "method": "VM.get_uuid", "params": [client.session, "x"]}
    assert (await post(client, request))["error"] == ["HANDLE_INVALID", "VM", "x"]
    answer = await post(client, {"jsonrpc": "2.0", **request})
    assert answer == {"jsonrpc": "2.0", "error": {"code": 1, "message": "HANDLE_INVALID", "data": ["VM", "x"]}, "id": 1}


async def test_records_are_the_same_in_both_formats(client):
    for cls in ("VM", "host_metrics", "VM_metrics", "network", "pool"):
        xml = await client.do(f"{cls}.get_all_records")
        answer = await post(client, {"id": 1, "method": f"{cls}.get_all_records", "params": [client.session]})
        assert {ref: set(record) for ref, record in answer["result"].items()} == {
            ref: set(record) for ref, record in xml.items()
        }
        for ref, record in answer["result"].items():
            assert record["uuid"] == xml[ref]["uuid"]


async def test_integers_are_numbers_and_dates_are_texts(client):
    vm = (await client.do("VM.get_all"))[0]
    record = (await post(client, {"id": 1, "method": "VM.get_record", "params": [client.session, vm]}))["result"]
    assert isinstance(record["memory_static_max"], int)
    assert isinstance(record["is_a_template"], bool)
    assert record["snapshot_time"] == "19700101T00:00:00Z"
    assert isinstance(record["VBDs"], list)
    params = [client.session, ["VM"], "", 0.5]
    batch = (await post(client, {"id": 1, "method": "event.from", "params": params}))["result"]
    assert batch["valid_ref_counts"]["vm"] == len(batch["events"])


async def test_parameters_may_be_numbers_or_texts(client, pool):
    vm = pool.vm("Halted")
    for value in (2, "2"):
        answer = await post(
            client, {"id": 1, "method": "VM.add_to_other_config", "params": [client.session, vm, f"k{value!r}", value]}
        )
        assert answer["error"] is None
    answer = await post(client, {"id": 1, "method": "VM.start", "params": [client.session, vm, False, False]})
    assert answer["result"] == ""


async def test_the_protocols_own_messages_are_ordinary_results(api):
    answer = await post(api, {"jsonrpc": "2.0", "id": 1, "method": "system.listMethods", "params": []})
    assert "VM.start" in answer["result"]
    assert (await post(api, {"id": 1, "method": "system.listMethods"}))["result"] == answer["result"]


async def test_a_batch_is_answered_in_order_and_each_call_by_itself(client):
    call = {"jsonrpc": "2.0", "method": "VM.get_all", "params": [client.session]}
    answers = await post(
        client, [{**call, "id": 1}, {**call, "id": 2, "method": "VM.none"}, call, 7, {**call, "id": 3}]
    )
    assert [answer["id"] for answer in answers] == [1, 2, None, None, 3]
    assert answers[1]["error"]["message"] == "MESSAGE_METHOD_UNKNOWN"
    assert [answer["error"]["code"] for answer in answers[2:4]] == [-32600, -32600]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"7",
        b'{"method":"VM.get_all","params":[]}',
        b'{"id":null,"method":"VM.get_all","params":[]}',
        b'{"id":[],"method":"VM.get_all","params":[]}',
        b'{"id":1,"params":[]}',
        b'{"id":1,"method":"VM.get_all","params":{"session":"x"}}',
        b'{"jsonrpc":"3.0","id":1,"method":"VM.get_all","params":[]}',
        b'{"id":1,"method":"VM.get_all","params":[NaN]}',
        b'{"id":1e999,"method":"VM.get_all","params":[]}',
        b'{"id":1,"method":"VM.get_all","params":["\\ud800"]}',
        b'{"id":1,"method":"m","params":' + b"[" * (DEFAULT.nesting + 2) + b"]" * (DEFAULT.nesting + 2) + b"}",
        b"[" * 200_000,
        b'{"id":1,"method":"m","params":[' + b"1" * 10_000 + b"]}",
        json.dumps([{"id": 1, "method": "m"}] * (DEFAULT.batch + 1)).encode(),
    ],
)
async def test_what_is_no_call_is_refused_with_a_sentence(api, body):
    error = (await post(api, body, 500))["error"]
    assert error["code"] in (-32700, -32600)
    assert error["message"].endswith(".")


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_whatever_comes_is_read_or_refused(body):
    with contextlib.suppress(MalformedError):
        assert decode(body)


@given(st.dictionaries(texts, st.lists(texts, max_size=3), max_size=3))
def test_what_is_written_is_json(value):
    body = b"".join(Encoder(lambda record: ()).success(NOBODY, value, of(dict[str, list[str]])))
    assert json.loads(body)["result"] == value


async def test_xml_is_spoken_on_every_other_path(api):
    body = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
    for path in ("/", "/RPC2", "/xmlrpc", "/jsonrpcx"):
        response = await api.post(body, path=path)
        assert response.headers[0] == ("Content-Type", "text/xml")
    assert (await api.post(b"{}", path="/json?x=1")).headers[0] == ("Content-Type", "application/json")


async def test_other_sites_may_call_where_a_password_is_asked_for(api):
    closed = await api.post(b"", "OPTIONS", "/jsonrpc")
    assert (closed.status, dict(closed.headers)) == (204, {"Allow": "POST, OPTIONS"})
    api.door = Door("tcp", authentication="local")
    opened = dict((await api.post(b"", "OPTIONS", "/jsonrpc")).headers)
    assert opened["Access-Control-Allow-Origin"] == "*"
    assert "Content-Type" in opened["Access-Control-Allow-Headers"]
    answer = await api.post(b'{"id":1,"method":"system.listMethods"}', path="/jsonrpc")
    assert ("Access-Control-Allow-Origin", "*") in answer.headers
