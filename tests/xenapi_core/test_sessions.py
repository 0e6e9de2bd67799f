"""Sessions and passwords: who may log in, how fast, for how long."""

from __future__ import annotations

import stat
import threading

import pytest

from netserve.doors import Door
from netserve.throttle import Throttle
from xenapi_core.access import sessions
from xenapi_core.access.local import LocalUsers, UsersFileError, read_users, set_password
from xenapi_core.access.passwords import PasswordHash
from xenapi_core.access.sessions import LOCAL, Sessions
from xenapi_core.datamodel import READ_ONLY, Caller, Role, XenApiError
from xenapi_core.limits import DEFAULT, Limits


@pytest.fixture(scope="module")
def users_file(tmp_path_factory):
    """A users file with root, whose password is "right"."""
    file = tmp_path_factory.mktemp("access") / "users"
    set_password(file, "root", "right")
    return file


@pytest.fixture
def guarded(api, users_file, clock):
    """The API behind a door that asks for passwords."""
    api.door = Door("tcp", authentication="local")
    api.sessions._users[LOCAL] = LocalUsers(users_file)
    api.sessions._clock = clock
    api.sessions._throttle = Throttle(clock=clock, sleep=clock.sleep)
    return api


async def test_login_takes_all_known_forms(guarded):
    one = await guarded.call("session.login_with_password", "root", "right")
    two = await guarded.call("session.login_with_password", "root", "right", "1.1")
    three = await guarded.call("session.login_with_password", "root", "right", "1.1", "a client")
    assert len({one, two, three}) == 3
    assert all(ref.startswith("OpaqueRef:") for ref in (one, two, three))
    assert await guarded.call("session.get_originator", three, three) == "a client"


@pytest.mark.parametrize(("user", "password"), [("root", "wrong"), ("nobody", "right"), ("", ""), ("root", "right ")])
async def test_wrong_passwords_are_refused(guarded, user, password):
    error = await guarded.error("session.login_with_password", user, password)
    assert error[:2] == ["SESSION_AUTHENTICATION_FAILED", user]


async def test_a_numeric_password_that_came_as_a_number_is_taken(guarded, tmp_path):
    set_password(tmp_path / "users", "root", "0")
    guarded.sessions._users[LOCAL] = LocalUsers(tmp_path / "users")
    assert await guarded.call("session.login_with_password", "root", 0)


async def test_guessing_gets_slower_until_it_succeeds(guarded, clock):
    for _ in range(8):
        await guarded.error("session.login_with_password", "root", "wrong")
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    await guarded.login("root", "right")
    before = len(clock.slept)
    await guarded.login("root", "right")
    assert len(clock.slept) == before


async def test_a_session_tells_of_itself(guarded, pool):
    session = await guarded.login("root", "right")
    record = await guarded.do("session.get_record", session)
    assert record["auth_user_name"] == "root"
    assert await guarded.do("session.get_uuid", session) == record["uuid"]
    assert await guarded.do("session.get_by_uuid", record["uuid"]) == session
    assert await guarded.do("session.get_this_host", session) == next(iter(pool.store.records("pool")))["master"]
    assert record["uuid"] not in session
    await guarded.do("session.add_to_other_config", session, "k", "v")
    assert await guarded.do("session.get_other_config", session) == {"k": "v"}


async def test_a_session_cannot_ask_about_another(guarded):
    first = await guarded.login("root", "right")
    await guarded.login("root", "right")
    assert (await guarded.fails("session.get_record", first))[0] == "PERMISSION_DENIED"
    assert (await guarded.fails("session.get_uuid", "OpaqueRef:x"))[0] == "PERMISSION_DENIED"


async def test_logging_out_ends_a_session(guarded):
    session = await guarded.login("root", "right")
    await guarded.do("session.logout")
    assert await guarded.fails("VM.get_all") == ["SESSION_INVALID", session]


async def test_an_idle_session_ends(guarded, clock):
    session = await guarded.login("root", "right")
    clock.now += DEFAULT.session_timeout - 1
    await guarded.do("VM.get_all")
    clock.now += DEFAULT.session_timeout + 1
    assert await guarded.fails("VM.get_all") == ["SESSION_INVALID", session]
    await guarded.login("root", "right")
    clock.now += DEFAULT.session_timeout + 1
    guarded.sessions.expire()
    assert len(guarded.sessions) == 0


async def test_one_client_cannot_crowd_out_another(clock):
    sessions = Sessions({}, clock=clock, limits=Limits(sessions_per_originator=3))
    caller = Caller("", READ_ONLY)
    kept = await sessions.login("none", caller, "other", "", "")
    first = await sessions.login("none", caller, "root", "", "leaky")
    for _ in range(3):
        clock.now += 1
        await sessions.login("none", caller, "root", "", "leaky")
    assert len(sessions) == 4
    assert sessions.get(kept.ref) is kept
    with pytest.raises(XenApiError, match="not valid"):
        sessions.get(first.ref)


async def test_one_user_cannot_crowd_out_another(clock):
    sessions = Sessions({}, clock=clock, limits=Limits(sessions=5))
    caller = Caller("", READ_ONLY)
    kept = [await sessions.login("none", caller, "quiet", "", "x") for _ in range(2)]
    for number in range(20):
        clock.now += 1
        last = await sessions.login("none", caller, "busy", "", f"names itself anew {number}")
        assert len(sessions) <= 5
        assert sessions.get(last.ref) is last
    assert [sessions.get(each.ref) for each in kept] == kept


async def test_a_changed_password_ends_the_users_other_sessions(guarded, tmp_path):
    set_password(tmp_path / "users", "root", "old")
    guarded.sessions._users[LOCAL] = LocalUsers(tmp_path / "users")
    other = await guarded.login("root", "old")
    session = await guarded.login("root", "old")
    assert (await guarded.fails("session.change_password", "wrong", "new"))[0] == "SESSION_AUTHENTICATION_FAILED"
    await guarded.do("session.change_password", "old", "new")
    assert await guarded.error("VM.get_all", other) == ["SESSION_INVALID", other]
    assert await guarded.call("VM.get_all", session)
    assert (await guarded.error("session.login_with_password", "root", "old"))[0] == "SESSION_AUTHENTICATION_FAILED"
    assert await guarded.login("root", "new")


async def test_who_knows_users_may_not_take_for_ever(guarded, monkeypatch):
    release = threading.Event()

    class Slow:
        at_a_time = 1

        def verify(self, name: str, password: str, address: str = "") -> None:
            release.wait(60)

    monkeypatch.setattr(sessions, "CHECK_LIMIT", 0.01)
    guarded.sessions._users[LOCAL] = Slow()
    try:
        error = await guarded.error("session.login_with_password", "root", "right")
    finally:
        release.set()
    assert error == ["SESSION_AUTHENTICATION_FAILED", "root", "Passwords cannot be checked now"]


async def test_sessions_end_when_the_users_file_changes_their_user(guarded, tmp_path):
    file = tmp_path / "users"
    for name in ("changed", "weaker", "gone", "kept"):
        set_password(file, name, "old")
    guarded.sessions._users[LOCAL] = LocalUsers(file)
    refs = {name: await guarded.login(name, "old") for name in ("changed", "weaker", "gone", "kept")}
    await guarded.sessions.end_changed()
    assert len(guarded.sessions) == 4
    set_password(file, "changed", "new")
    set_password(file, "weaker", "old", READ_ONLY)
    lines = [line for line in file.read_text().splitlines(keepends=True) if not line.startswith("gone:")]
    file.write_text("".join(lines))
    await guarded.sessions.end_changed()
    assert await guarded.call("VM.get_all", refs.pop("kept"))
    for ref in refs.values():
        assert await guarded.error("VM.get_all", ref) == ["SESSION_INVALID", ref]
    file.write_text("not a line\n")
    await guarded.sessions.end_changed()
    assert len(guarded.sessions) == 1


def test_a_hash_knows_its_password_and_tells_nothing():
    hashed = PasswordHash.of("geheim", log_n=4)
    assert PasswordHash.parse(str(hashed)) == hashed
    assert hashed.matches("geheim")
    assert not hashed.matches("Geheim")
    assert PasswordHash.of("geheim", log_n=4) != hashed
    assert "geheim" not in str(hashed)
    assert str(hashed) not in repr(hashed)


@pytest.mark.parametrize(
    "text", ["", "x", "$scrypt$ln=4,r=8$AA==$AA==", "$md5$ln=4,r=8,p=1$AA==$AA==", "$scrypt$ln=40,r=8,p=1$AA==$AA=="]
)
def test_what_is_no_hash_is_refused(text):
    with pytest.raises(ValueError, match=r"\$scrypt\$"):
        PasswordHash.parse(text)


def test_the_users_file_is_the_owners_alone(users_file):
    assert stat.S_IMODE(users_file.stat().st_mode) == 0o600
    assert "right" not in users_file.read_text()


def test_a_users_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "users"
    file.write_text("")
    file.chmod(0o644)
    with pytest.raises(UsersFileError, match="chmod 600"):
        read_users(file)


def test_a_wrong_line_is_named(tmp_path):
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_text("# users\n\nroot:emperor:x\n")
    with pytest.raises(UsersFileError, match=r"Line 3 of the users file .* no role"):
        read_users(file)


@pytest.mark.parametrize("name", ["", "a:b", "#a", "a\nb"])
def test_names_that_the_file_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="no user name"):
        set_password(tmp_path / "users", name, "x")


def test_a_new_password_keeps_the_role_and_the_others(tmp_path):
    file = tmp_path / "users"
    set_password(file, "reader", "a", Role.READ_ONLY)
    set_password(file, "root", "b")
    set_password(file, "reader", "c")
    users = read_users(file)
    assert {name: user.role for name, user in users.items()} == {"reader": Role.READ_ONLY, "root": Role.POOL_ADMIN}
    assert users["reader"].password.matches("c")


async def test_nothing_secret_is_logged(guarded, capsys):
    session = await guarded.login("root", "right")
    await guarded.error("session.login_with_password", "root", "a wrong secret")
    await guarded.do("session.logout")
    told = "".join(capsys.readouterr())
    assert "session_began" in told
    assert not any(
        secret in told for secret in (session, session.removeprefix("OpaqueRef:"), "right", "a wrong secret")
    )
