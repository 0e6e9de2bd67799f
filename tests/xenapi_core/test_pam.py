"""Users of the system: real PAM stacks say who is let in, the settings say as what."""

from __future__ import annotations

import ctypes.util
import getpass
import grp
import os
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

import pam_stack
from netserve.doors import Door
from xenapi_core.access import pam
from xenapi_core.access.local import LocalUsers, set_password
from xenapi_core.access.pam import Pam, PamUsers
from xenapi_core.access.sessions import LOCAL, PAM
from xenapi_core.access.users import UsersError
from xenapi_core.datamodel import POOL_ADMIN, READ_ONLY, VM_ADMIN

pytestmark = pytest.mark.skipif(bool(pam_stack.why_not()), reason=pam_stack.why_not())

RIGHT = pam_stack.PASSWORD


@pytest.fixture
def stack(tmp_path, monkeypatch) -> Path:
    """The folder of a PAM stack of which all users have the same password."""
    folder = pam_stack.make(tmp_path / "pam.d")
    monkeypatch.setattr("pamela.PAM_START", pam_stack.begin(folder))
    return folder


@pytest.fixture
def guarded(api, stack):
    """The API behind a door that asks PAM."""
    api.door = Door("tcp", authentication=PAM)
    api.sessions._users[PAM] = PamUsers(Pam())
    return api


def test_pam_is_asked_for_password_and_account(stack):
    users = PamUsers(Pam())
    assert users.verify("operator", RIGHT, "192.0.2.1").name == "operator"
    assert users.verify("operator", "wrong", "192.0.2.1") is None
    assert users.verify(pam_stack.LOCKED, RIGHT) is None
    assert (stack / "asked").read_text().splitlines() == [
        "auth login operator 192.0.2.1 xenapid",
        "account login operator 192.0.2.1 xenapid",
        "auth login operator 192.0.2.1 xenapid",
        "auth login locked nowhere xenapid",
        "account login locked nowhere xenapid",
    ]


@pytest.mark.parametrize(
    ("name", "password"), [("", RIGHT), ("operator", ""), ("operator\0x", RIGHT), ("operator", f"{RIGHT}\0x")]
)
def test_what_c_would_read_otherwise_is_refused_before(stack, name, password):
    assert PamUsers(Pam()).verify(name, password) is None
    assert not (stack / "asked").exists()


def test_many_may_ask_at_a_time(stack):
    users, found = PamUsers(Pam()), []

    def ask(number: int) -> None:
        password = RIGHT if number % 2 else "wrong"
        user = users.verify(f"user{number}", password)
        found.append((user and user.name) == (f"user{number}" if number % 2 else None))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [True] * 24


def test_the_service_is_a_setting_and_one_that_fails_is_named(stack):
    with pytest.raises(UsersError, match=r"The PAM service 'broken' cannot check passwords: .+"):
        PamUsers(Pam("broken")).verify("operator", RIGHT)


def test_roles_by_user_group_and_for_everybody(stack):
    own = getpass.getuser()
    group = grp.getgrgid(os.getgid()).gr_name
    roles = (("*", READ_ONLY), (f"%{group}", VM_ADMIN), ("chief", POOL_ADMIN))
    users = PamUsers(Pam(roles=roles))
    assert {name: users.verify(name, RIGHT).role for name in (own, "chief", "guest")} == {
        own: VM_ADMIN,
        "chief": POOL_ADMIN,
        "guest": READ_ONLY,
    }
    assert PamUsers(Pam()).verify("root", RIGHT).role == POOL_ADMIN
    assert PamUsers(Pam(roles=())).verify("root", RIGHT).role is None


async def test_a_user_of_the_system_logs_in(guarded):
    session = await guarded.login("root", RIGHT)
    record = await guarded.do("session.get_record", session)
    assert (record["auth_user_name"], record["auth_user_sid"]) == ("root", "pam/root")
    assert record["is_local_superuser"] is False
    assert await guarded.do("VM.get_all")
    await guarded.login("guest", RIGHT)
    assert (await guarded.fails("VM.start", "x", False))[0] == "RBAC_PERMISSION_DENIED"
    for name, password in (("root", "wrong"), (pam_stack.LOCKED, RIGHT), ("", "")):
        error = await guarded.error("session.login_with_password", name, password)
        assert error == ["SESSION_AUTHENTICATION_FAILED", name, "Authentication failure"]


async def test_who_has_no_role_is_not_let_in_unless_as_a_subject(guarded):
    guarded.sessions._users[PAM] = PamUsers(Pam(roles=(("root", POOL_ADMIN),)))
    assert (await guarded.error("session.login_with_password", "nobody", RIGHT))[0] == "RBAC_PERMISSION_DENIED"
    assert len(guarded.sessions) == 0
    await guarded.login("root", RIGHT)
    assert await guarded.do("auth.get_subject_identifier", "nobody") == "pam/nobody"
    subject = await guarded.do("subject.create", {"subject_identifier": "pam/nobody"})
    operator = (await guarded.do("role.get_by_name_label", "vm-operator"))[0]
    admin = (await guarded.do("role.get_by_name_label", "pool-admin"))[0]
    await guarded.do("subject.add_to_roles", subject, operator)
    await guarded.do("subject.remove_from_roles", subject, admin)
    await guarded.login("nobody", RIGHT)
    assert (await guarded.fails("VM.start", "x", False))[0] == "HANDLE_INVALID"
    assert (await guarded.fails("VM.destroy", "x"))[0] == "RBAC_PERMISSION_DENIED"


async def test_users_of_the_same_name_are_not_one(guarded, tmp_path):
    set_password(tmp_path / "users", "root", "other")
    guarded.sessions._users[LOCAL] = LocalUsers(tmp_path / "users")
    of_system = await guarded.login("root", RIGHT)
    assert await guarded.fails("session.change_password", RIGHT, "new") == [
        "PERMISSION_DENIED",
        "the user of this session has no password in the users file",
    ]
    guarded.door = Door("tcp", authentication=LOCAL)
    assert (await guarded.error("session.login_with_password", "root", RIGHT))[0] == "SESSION_AUTHENTICATION_FAILED"
    await guarded.login("root", "other")
    await guarded.do("session.logout_subject_identifier", "local/root")
    await guarded.do("session.change_password", "other", "new")
    assert await guarded.do("session.get_all_subject_identifiers") == ["local/root", "pam/root"]
    assert await guarded.call("VM.get_all", of_system)


async def test_a_service_that_fails_lets_nobody_in(guarded, capsys):
    guarded.sessions._users[PAM] = PamUsers(Pam("broken"))
    error = await guarded.error("session.login_with_password", "root", RIGHT)
    assert error == ["SESSION_AUTHENTICATION_FAILED", "root", "Passwords cannot be checked now"]
    assert "The PAM service 'broken' cannot check passwords" in "".join(capsys.readouterr())


# --- what is missing


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pamela", None)
    (told,) = PamUsers(Pam()).shortcomings()
    assert "pamela" in told
    assert "install" in told
    with pytest.raises(UsersError, match="pamela"):
        PamUsers(Pam()).verify("root", RIGHT)


def test_a_missing_libpam_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "pamela", raising=False)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    (told,) = PamUsers(Pam()).shortcomings()
    assert "there is no libpam (Debian: libpam0g)" in told


def test_a_missing_service_and_an_unreadable_password_database_are_named(monkeypatch, tmp_path):
    pam_stack.make(tmp_path)
    monkeypatch.setattr(pam, "SERVICES", (tmp_path / "none", tmp_path))
    monkeypatch.setattr(pam, "PASSWORDS", tmp_path / "check")
    assert PamUsers(Pam()).shortcomings() == []
    monkeypatch.setattr(pam, "PASSWORDS", tmp_path / "shadow")
    (service, database) = PamUsers(Pam("absent")).shortcomings()
    assert service.startswith("There is no PAM service 'absent'")
    assert database.startswith(f"The password database {tmp_path}/shadow cannot be read by this process (user id")


# --- the password database


@pytest.fixture
def account():
    """A user of the system with the password "right", who is removed afterwards."""
    if os.getuid() != 0 or shutil.which("useradd") is None or shutil.which("chpasswd") is None:
        pytest.skip("only root can make a user of the system (with useradd and chpasswd; Debian: passwd)")
    name = f"xencim-{uuid.uuid4().hex[:8]}"
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], check=True)
    try:
        password(name, RIGHT)
        yield name
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


def password(name: str, new: str) -> None:
    subprocess.run(["chpasswd"], input=f"{name}:{new}", text=True, check=True)


async def test_sessions_end_with_the_password_that_they_began_with(guarded, account):
    guarded.sessions._users[PAM] = PamUsers(Pam("unix"))
    first = await guarded.login(account, RIGHT)
    assert (await guarded.error("session.login_with_password", account, "wrong"))[0] == "SESSION_AUTHENTICATION_FAILED"
    await guarded.sessions.end_changed()
    assert await guarded.do("VM.get_all")
    password(account, "new")
    await guarded.sessions.end_changed()
    assert await guarded.fails("VM.get_all") == ["SESSION_INVALID", first]
    assert (await guarded.error("session.login_with_password", account, RIGHT))[0] == "SESSION_AUTHENTICATION_FAILED"
    second = await guarded.login(account, "new")
    subprocess.run(["usermod", "--expiredate", "1970-01-02", account], check=True)
    assert (await guarded.error("session.login_with_password", account, "new"))[0] == "SESSION_AUTHENTICATION_FAILED"
    await guarded.sessions.end_changed()
    assert await guarded.fails("VM.get_all") == ["SESSION_INVALID", second]
