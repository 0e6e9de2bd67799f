"""Sessions: how they begin, are renewed, sent on, and end."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from xenapi_client import Connection, XenApiError, XenApiUnavailable

PASSWORD = "open sesame"


async def test_a_call_logs_in_once_and_says_who_it_is(pool, connection):
    pool.answers["VM.get_all"] = lambda: ["OpaqueRef:1"]
    answers = await asyncio.gather(*(connection.call("VM.get_all") for _ in range(5)))
    assert answers == [["OpaqueRef:1"]] * 5
    assert pool.named("session.login_with_password") == [("alice", PASSWORD, "1.0", "xen-cim")]


async def test_parameters_follow_the_session(pool, connection):
    pool.answers["VM.start"] = lambda *parameters: list(parameters)
    assert await connection.call("VM.start", "OpaqueRef:1", False, True) == ["OpaqueRef:1", False, True]


async def test_a_refusal_has_code_parameters_and_a_sentence(pool, connection, refused):
    def start(vm):
        raise refused("VM_BAD_POWER_STATE", vm, "halted", "running")

    pool.answers["VM.start"] = start
    with pytest.raises(XenApiError) as error:
        await connection.call("VM.start", "OpaqueRef:1")
    assert error.value.code == "VM_BAD_POWER_STATE"
    assert error.value.parameters == ("OpaqueRef:1", "halted", "running")
    assert str(error.value) == "The Xen-API refused the call: VM_BAD_POWER_STATE (OpaqueRef:1, halted, running)."


async def test_a_session_that_ended_is_replaced_once(pool, connection):
    pool.answers["VM.get_all"] = list
    await connection.call("VM.get_all")
    pool.sessions.clear()
    assert await asyncio.gather(*(connection.call("VM.get_all") for _ in range(3))) == [[], [], []]
    assert len(pool.named("session.login_with_password")) == 2
    assert connection.generation == 2


async def test_a_session_that_ends_at_once_is_not_replaced_for_ever(pool, connection, refused):
    def never():
        raise refused("SESSION_INVALID", "x")

    pool.answers["VM.get_all"] = never
    with pytest.raises(XenApiError) as error:
        await connection.call("VM.get_all")
    assert error.value.code == "SESSION_INVALID"
    assert len(pool.named("VM.get_all")) == 2


async def test_without_relogin_the_password_is_forgotten(pool):
    connection = Connection(pool.url, "alice", PASSWORD, relogin=False)
    pool.answers["VM.get_all"] = list
    assert await connection.call("VM.get_all") == []
    assert PASSWORD not in str(vars(connection))
    pool.sessions.clear()
    with pytest.raises(XenApiError) as error:
        await connection.call("VM.get_all")
    assert error.value.code == "SESSION_INVALID"
    assert len(pool.named("session.login_with_password")) == 1
    await connection.close()


@pytest.mark.parametrize("code", ["SESSION_INVALID", "SESSION_NOT_REGISTERED", "DEBUG_FAIL"])
def test_no_text_tells_the_reference_of_a_session(code):
    error = XenApiError(code, ["OpaqueRef:secret"])
    assert error.parameters == ("OpaqueRef:secret",)
    assert "secret" not in f"{error} {error!r}"
    assert "OpaqueRef:1" in str(XenApiError("HANDLE_INVALID", ["VM", "OpaqueRef:1"]))


async def test_an_old_server_gets_the_login_it_knows(pool, connection, refused):
    def login(*parameters):
        if len(parameters) != 2:
            raise refused("MESSAGE_PARAMETER_COUNT_MISMATCH", "session.login_with_password", "2", "4")
        return "session"

    pool.answers |= {"session.login_with_password": login, "VM.get_all": list}
    assert await connection.call("VM.get_all") == []


async def test_a_pool_member_sends_on_to_its_master(pool, master, connection, refused):
    def slave(*_):
        raise refused("HOST_IS_SLAVE", "127.0.0.2")

    pool.answers["session.login_with_password"] = slave
    master.answers["VM.get_all"] = list
    assert await connection.call("VM.get_all") == []
    assert connection.endpoint == master.url
    assert await connection.call("VM.get_all") == []
    assert len(pool.calls) == 1


async def test_after_its_master_the_pool_is_asked_again(pool, master, connection, refused):
    def slave(*_):
        raise refused("HOST_IS_SLAVE", "127.0.0.2")

    pool.answers["session.login_with_password"] = slave
    master.answers["VM.get_all"] = list
    await connection.call("VM.get_all")
    await master.close()
    with pytest.raises(XenApiUnavailable, match=r"127\.0\.0\.2"):
        await connection.call("VM.get_all")
    del pool.answers["session.login_with_password"]  # the member has become the master
    pool.answers["VM.get_all"] = list
    assert await connection.call("VM.get_all") == []
    assert connection.endpoint == pool.url
    await master.open(int(pool.url.rpartition(":")[2]), "127.0.0.2")


async def test_members_that_send_on_in_a_circle_are_not_followed_for_ever(pool, connection, refused):
    def slave(*_):
        raise refused("HOST_IS_SLAVE", "127.0.0.1")

    pool.answers["session.login_with_password"] = slave
    with pytest.raises(XenApiUnavailable, match="3 times"):
        await connection.call("VM.get_all")
    assert len(pool.named("session.login_with_password")) == 3


@pytest.mark.parametrize("master", ["192.0.2.1", "evil.example", "user@127.0.0.1", "127.0.0.1/x", ""])
async def test_a_password_is_not_sent_away_from_loopback_in_the_clear(pool, connection, refused, master):
    def slave(*_):
        raise refused("HOST_IS_SLAVE", master)

    pool.answers["session.login_with_password"] = slave
    with pytest.raises(XenApiUnavailable, match=r"https|no address"):
        await connection.call("VM.get_all")


async def test_an_absent_server_is_one_clear_error(pool, connection):
    await pool.close()
    with pytest.raises(XenApiUnavailable, match=f"The Xen-API at {pool.url} cannot be reached"):
        await connection.call("VM.get_all")
    await pool.open()


async def test_a_silent_server_is_given_up(pool, connection):
    silence = asyncio.Event()
    pool.answers["VM.get_all"] = silence.wait
    with pytest.raises(XenApiUnavailable, match="Timeout"):
        await connection.call("VM.get_all", within=0.05)
    silence.set()


@pytest.mark.parametrize(
    "body", [b"<html/>", b"<methodResponse><params><param><value>x</value></param></params></methodResponse>"]
)
async def test_what_is_no_xen_api_is_said_to_be_none(pool, connection, body):
    pool.raw = body
    with pytest.raises(XenApiUnavailable, match=r"answer"):
        await connection.call("VM.get_all")


async def test_neither_password_nor_session_shows(pool, connection, refused):
    def refuse():
        raise refused("SOME_ERROR", next(iter(pool.sessions)))

    pool.answers["VM.get_all"] = refuse
    with capture_logs() as logs:
        with pytest.raises(XenApiError) as error:
            await connection.call("VM.get_all")
        pool.sessions.clear()
        with pytest.raises(XenApiError):
            await connection.call("VM.get_all")
    told = f"{connection!r} {error.value!r} {error.value} {error.value.parameters} {logs}"
    assert "alice" in told
    assert PASSWORD not in told
    assert "OpaqueRef:session" not in told


async def test_closing_logs_out(pool, connection):
    pool.answers["VM.get_all"] = list
    await connection.call("VM.get_all")
    await connection.close()
    assert len(pool.named("session.logout")) == 1


@pytest.mark.parametrize("endpoint", ["", "ftp://x", "127.0.0.1:80"])
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(ValueError, match="no endpoint"):
        Connection(endpoint)
