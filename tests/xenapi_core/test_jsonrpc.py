"""JSON-RPC 1.0 and 2.0: requests as clients write them, answers as clients read them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netserve.doors import Door
from netserve.messages import Headers
from netserve.origins import is_origin
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
    nameless = {"jsonrpc": "2.0", "id": 4, "method": 5}
    answers = await post(
        client, [{**call, "id": 1}, {**call, "id": 2, "method": "VM.none"}, nameless, call, 7, {**call, "id": 3}]
    )
    assert [answer["id"] for answer in answers] == [1, 2, 4, None, 3]
    assert answers[1]["error"]["message"] == "MESSAGE_METHOD_UNKNOWN"
    assert [answer["error"]["code"] for answer in answers[2:4]] == [-32600, -32600]


@pytest.mark.parametrize("silence", [{"jsonrpc": "2.0"}, {"id": None}])
async def test_a_notification_is_carried_out_and_gets_no_answer(client, pool, silence):
    vm = pool.vm("Halted")
    call = {**silence, "method": "VM.set_name_label", "params": [client.session, vm, "told"]}
    failing = {**silence, "method": "VM.none", "params": []}
    for body in (call, failing, [call, failing]):
        response = await client.post(json.dumps(body).encode(), path="/jsonrpc")
        assert (response.status, response.body) == (204, b"")
    assert await client.do("VM.get_name_label", vm) == "told"
    answers = await post(client, [failing, {"id": 1, "method": "VM.get_name_label", "params": [client.session, vm]}])
    assert answers == [{"error": None, "result": "told", "id": 1}]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', (-32700, None)),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, None)),
        (
            '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
            (-32700, None),
        ),
        ("[]", (-32600, None)),
        ("[1]", [(-32600, None)]),
        ("[1,2,3]", [(-32600, None)] * 3),
        (
            """[{"jsonrpc": "2.0", "method": "system.isAlive", "params": [7], "id": "1"},
                {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
                {"foo": "boo"},
                {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
                {"jsonrpc": "2.0", "method": "system.listMethods", "id": "9"}]""",
            [("result", "1"), (-32600, None), (-32602, "5"), ("result", "9")],
        ),
    ],
)
async def test_the_examples_of_the_specification_are_answered_as_it_says(api, body, told):
    """JSON-RPC 2.0 Specification, 7: what it says of requests that are wrong, and of a batch of all kinds."""

    def short(answer: Any) -> tuple[Any, Any]:
        assert set(answer) == {"jsonrpc", "id", "result" if "result" in answer else "error"}
        return ("result" if "result" in answer else answer["error"]["code"]), answer["id"]

    answer = await post(api, body.encode(), 200 if isinstance(told, list) else 500)
    assert ([short(each) for each in answer] if isinstance(answer, list) else short(answer)) == told


async def test_names_of_parameters_are_refused_with_the_code_for_that(api):
    call = {"jsonrpc": "2.0", "method": "VM.get_all", "params": {"session": "x"}}
    answer = await post(api, {**call, "id": "x"}, 500)
    assert (answer["error"]["code"], answer["id"]) == (-32602, "x")
    assert (await api.post(json.dumps(call).encode(), path="/json")).status == 204


async def test_a_malformed_call_is_told_so_in_its_own_version(api):
    answer = await post(api, {"id": 1, "method": 5, "params": []}, 500)
    assert answer == {"error": ["INVALID_VALUE", "request", "The request has no method."], "result": None, "id": 1}
    answer = await post(api, {"jsonrpc": "2.0", "method": 1, "params": "bar"}, 500)
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"7",
        b'{"method":"VM.get_all","params":[]}',
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
    sentence = error[2] if isinstance(error, list) else error["message"]
    assert isinstance(error, list) or error["code"] in (-32700, -32600)
    assert sentence.endswith(".")


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


PAGE = "https://ops.example.com"


async def ask(api: Any, origin: str | None, method: str = "POST", **fields: str) -> Any:
    """Send a call as a page of an origin would, and return status and header fields."""
    api.headers = Headers(tuple(fields.items()) + ((("origin", origin),) if origin else ()))
    response = await api.post(b'{"id":1,"method":"system.listMethods"}', method, "/jsonrpc")
    return response.status, dict(response.headers)


async def test_no_page_of_another_site_may_call_unless_it_is_listed(api):
    for origin in (PAGE, "http://127.0.0.1:9363", "null"):
        status, fields = await ask(api, origin)
        assert (status, fields) == (403, {})
        status, fields = await ask(api, origin, "OPTIONS", **{"access-control-request-method": "POST"})
        assert (status, fields) == (204, {"Allow": "POST, OPTIONS"})
    assert await ask(api, None) == (200, {"Content-Type": "application/json"})


async def test_a_listed_page_may_call(api):
    api.door = Door("tcp", authentication="local", allowed_origins=(PAGE, "http://localhost:3000"))
    status, fields = await ask(api, PAGE, "OPTIONS", **{"access-control-request-method": "POST"})
    assert status == 204
    assert fields["Access-Control-Allow-Origin"] == PAGE
    assert fields["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert fields["Access-Control-Allow-Headers"] == "Content-Type"
    status, fields = await ask(api, PAGE)
    shared = {"Access-Control-Allow-Origin": PAGE, "Vary": "Origin"}
    assert (status, fields) == (200, {"Content-Type": "application/json", **shared})
    assert await ask(api, None) == (200, {"Content-Type": "application/json", "Vary": "Origin"})
    for other in ("https://ops.example.com.evil.org", "http://ops.example.com", "https://ops.example.com:444", "null"):
        assert await ask(api, other) == (403, {"Vary": "Origin"})
        status, fields = await ask(api, other, "OPTIONS", **{"access-control-request-method": "POST"})
        assert (status, fields) == (204, {"Allow": "POST, OPTIONS", "Vary": "Origin"})


async def test_every_page_may_call_where_the_settings_say_so(api):
    api.door = Door("tcp", authentication="local", allowed_origins=("*",))
    assert (await ask(api, PAGE))[1]["Access-Control-Allow-Origin"] == PAGE
    assert (await ask(api, "null"))[0] == 403


def test_origins_are_written_as_browsers_write_them():
    assert all(map(is_origin, ("*", PAGE, "http://localhost:3000", "http://[::1]:80", "http://10.0.0.1")))
    assert not any(map(is_origin, ("", "null", "ops.example.com", PAGE + "/", "https://OPS.example.com", "ftp://a")))
