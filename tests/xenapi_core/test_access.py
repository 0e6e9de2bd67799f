"""Roles, subjects, and what each may do."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from netserve.doors import Door
from tests.xenapi_core.test_model import facts
from xenapi_core.access.local import LocalUsers, set_password
from xenapi_core.access.sessions import LOCAL, Session
from xenapi_core.datamodel import Caller, Role, XenApiError
from xenapi_core.datamodel.roles import READ_ONLY
from xenapi_core.wire.codec import Incoming
from xenapi_core.wire.dispatch import Visitor


@pytest.fixture(scope="module")
def users_file(tmp_path_factory):
    """A users file with an administrator and a reader."""
    file = tmp_path_factory.mktemp("access") / "users"
    set_password(file, "admin", "pw")
    set_password(file, "reader", "pw", READ_ONLY)
    return file


@pytest.fixture
async def guarded(api, users_file):
    """The API behind a door that asks for passwords, with the administrator logged in."""
    api.door = Door("tcp", authentication="local")
    api.sessions._users[LOCAL] = LocalUsers(users_file)
    await api.login("admin", "pw")
    return api


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_send_exactly_the_messages_declared_for_it_or_a_weaker_one(api, role):
    """Every message is sent with arguments that are of no type, so that few have an effect."""
    visitor = Visitor(Caller("", READ_ONLY), "none")
    for name, message in api.store.model.messages.items():
        if not message.session or message.waits:
            continue
        session = Session(Caller("somebody", role), "", api.sessions._clock())
        api.sessions._sessions[session.ref] = session
        api.sessions._groups[session.group][session.ref] = session
        incoming = Incoming(name, [session.ref, *[{} for _ in message.parameters]])
        answered: list[str] = []
        try:
            await asyncio.wait_for(api.dispatcher.answer(incoming, visitor), 5)
        except XenApiError as error:
            answered = error.description[:2]
        assert (answered == ["RBAC_PERMISSION_DENIED", name]) == (role < message.role), name


def test_the_declared_roles_are_those_of_the_facts(datamodel):
    known = facts("xenapi-modern.json")["classes"]
    wrong = {}
    for name, message in datamodel.messages.items():
        cls, _, short = name.partition(".")
        told = next((each for each in known.get(cls, {"messages": []})["messages"] if each["name"] == short), None)
        if told is not None and told["min_role"] and told["min_role"] != message.role.label:
            wrong[name] = (message.role.label, told["min_role"])
    assert wrong == {}


async def test_the_six_roles_are_there_with_their_permissions(guarded):
    records = await guarded.do("role.get_all_records")
    by_name = {record["name_label"]: ref for ref, record in records.items()}
    assert set(by_name) == {role.label for role in Role}
    assert set(await guarded.do("role.get_all")) == set(records)
    names = {name: set(await guarded.do("role.get_permissions_name_label", ref)) for name, ref in by_name.items()}
    ordered = [names[role.label] for role in sorted(Role)]
    assert all(weaker < stronger for weaker, stronger in pairwise(ordered))
    assert "vm.start" in names["vm-operator"] - names["read-only"]
    assert names["pool-admin"] == {name.lower() for name in guarded.store.model.messages}
    able = await guarded.do("role.get_by_permission_name_label", "VM.start")
    assert set(able) == {by_name[role.label] for role in Role if role >= Role.VM_OPERATOR}
    permission = (await guarded.do("role.get_by_name_label", "vm.start"))[0]
    assert await guarded.do("role.get_by_permission", permission) == able
    assert permission in await guarded.do("role.get_permissions", by_name["pool-admin"])
    assert (await guarded.do("role.get_record", permission))["subroles"] == []


async def test_a_subject_has_the_roles_that_it_was_given(guarded):
    identifier = await guarded.do("auth.get_subject_identifier", "reader")
    information = await guarded.do("auth.get_subject_information_from_identifier", identifier)
    assert information["subject-name"] == "reader"
    assert await guarded.do("auth.get_group_membership", identifier) == []
    subject = await guarded.do("subject.create", {"subject_identifier": identifier, "other_config": information})
    assert await guarded.fails("subject.create", {"subject_identifier": identifier}) == ["SUBJECT_ALREADY_EXISTS"]
    admin = (await guarded.do("role.get_by_name_label", "pool-admin"))[0]
    operator = (await guarded.do("role.get_by_name_label", "vm-operator"))[0]
    assert await guarded.do("subject.get_roles", subject) == [admin]
    assert await guarded.fails("subject.add_to_roles", subject, admin) == ["ROLE_ALREADY_EXISTS"]
    await guarded.do("subject.add_to_roles", subject, operator)
    await guarded.do("subject.remove_from_roles", subject, admin)
    assert await guarded.fails("subject.remove_from_roles", subject, admin) == ["ROLE_NOT_FOUND"]
    names = await guarded.do("subject.get_permissions_name_label", subject)
    assert "vm.start" in names
    assert "vm.destroy" not in names

    administrator = guarded.session
    own = await guarded.login("reader", "pw")
    record = await guarded.do("session.get_record", own)
    assert (record["subject"], record["auth_user_sid"]) == (subject, identifier)
    assert (await guarded.fails("subject.destroy", subject))[0] == "RBAC_PERMISSION_DENIED"
    assert await guarded.fails("VM.start", "x", False) == ["HANDLE_INVALID", "VM", "x"]
    guarded.session = administrator
    await guarded.do("subject.remove_from_roles", subject, operator)
    denied = await guarded.error("session.login_with_password", "reader", "pw")
    assert denied[0] == "RBAC_PERMISSION_DENIED"
    await guarded.do("subject.destroy", subject)
    assert await guarded.login("reader", "pw")


async def test_who_is_not_known_cannot_be_resolved(guarded):
    unresolved = ["SUBJECT_CANNOT_BE_RESOLVED"]
    assert await guarded.fails("auth.get_subject_identifier", "nobody") == unresolved
    for name in ("auth.get_subject_information_from_identifier", "auth.get_group_membership"):
        for identifier in ("local/nobody", "local/", "", "elsewhere/admin"):
            assert await guarded.fails(name, identifier) == unresolved
    assert await guarded.fails("subject.create", {}) == ["INVALID_VALUE", "subject_identifier", ""]


async def test_the_sessions_of_a_user_can_be_ended(guarded):
    administrator, other = guarded.session, await guarded.call("session.login_with_password", "admin", "pw")
    reader = await guarded.call("session.login_with_password", "reader", "pw")
    assert await guarded.do("session.get_all_subject_identifiers") == ["local/admin", "local/reader"]
    await guarded.do("session.logout_subject_identifier", "local/reader")
    assert await guarded.error("VM.get_all", reader) == ["SESSION_INVALID", reader]
    await guarded.do("session.logout_subject_identifier", "local/admin")
    assert await guarded.error("VM.get_all", other) == ["SESSION_INVALID", other]
    assert await guarded.call("VM.get_all", administrator)


async def test_logging_in_at_the_host_itself_takes_an_administrator(guarded):
    denied = await guarded.error("session.slave_local_login_with_password", "reader", "pw")
    assert denied[0] == "RBAC_PERMISSION_DENIED"
    assert len(guarded.sessions) == 1
    guarded.session = await guarded.call("session.slave_local_login_with_password", "admin", "pw")
    await guarded.do("session.local_logout")
    assert (await guarded.fails("VM.get_all"))[0] == "SESSION_INVALID"


async def test_who_may_not_read_a_class_gets_none_of_its_events(guarded):
    secret = await guarded.do("secret.create", {"value": "hush"})
    assert await guarded.do("secret.get_value", secret) == "hush"
    administrator = guarded.session
    assert secret in {event["ref"] for event in (await guarded.do("event.from", ["*"], "", 0.0))["events"]}
    await guarded.login("reader", "pw")
    for classes in (["*"], ["secret"], [f"secret/{secret}"], [f"VM/{secret}"]):
        batch = await guarded.do("event.from", classes, "", 0.0)
        assert secret not in {event["ref"] for event in batch["events"]}
    for name in ("secret.get_value", "secret.get_record"):
        assert (await guarded.fails(name, secret))[0] == "RBAC_PERMISSION_DENIED"
    assert (await guarded.fails("event.inject", "secret", secret))[0] == "HANDLE_INVALID"
    assert secret not in guarded.encoder._fragments
    guarded.session = administrator
    await guarded.do("secret.set_value", secret, "other")
    assert (await guarded.do("secret.get_record", secret))["value"] == "other"


async def test_a_task_tells_its_session_to_that_session_alone(guarded):
    task = await guarded.do("task.create", "label", "")
    assert await guarded.do("task.get_session", task) == guarded.session
    await guarded.login("admin", "pw")
    assert await guarded.do("task.get_session", task) == "OpaqueRef:NULL"
