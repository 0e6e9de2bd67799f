"""Who is let in, for how long, and at what cost."""

from __future__ import annotations

import asyncio

import pytest

from cim_provider import CimError, Status
from xen_providers import access
from xen_providers.access import XenApiAuthenticator
from xenapi_client import Connection, XenApiError
from xenapi_core.access.local import set_password
from xenapi_core.datamodel.roles import Role

NAME, PASSWORD = "operator", "operator's password"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def authenticator(pool, clock):
    authenticator = XenApiAuthenticator(pool.url("http"), clock=clock)
    await authenticator.start()
    yield authenticator
    await authenticator.stop()


@pytest.fixture
def sessions(pool, monkeypatch):
    """Names of those who log in, in order; the random ones are called nobody."""
    logins: list[str] = []
    login = Connection._log_in

    async def counted(self):
        if not self.user.startswith("nobody-"):
            logins.append(self.user)
        return await login(self)

    monkeypatch.setattr(Connection, "_log_in", counted)
    return logins


async def refusal(authenticator, user, password) -> CimError:
    with pytest.raises(CimError) as refused:
        await authenticator.authenticate(user, password)
    return refused.value


async def test_a_right_pair_is_let_in_under_its_own_session(authenticator):
    principal = await authenticator.authenticate(NAME, PASSWORD)
    assert principal.name == NAME
    assert await principal.call("VM.get_all")


async def test_a_wrong_pair_is_refused_without_a_hint(authenticator):
    long = "x" * 5000
    pairs = [
        (NAME, "wrong"),
        ("", ""),
        ("nobody", PASSWORD),
        (NAME, long),
        (long, PASSWORD),
        ("a\x00", "b"),
        ("a", "\ud800"),
    ]
    for user, password in pairs:
        error = await refusal(authenticator, user, password)
        assert error.status is Status.ACCESS_DENIED
        assert error.description == access.REFUSED


async def test_a_verified_pair_is_remembered_for_a_minute(authenticator, clock, sessions):
    first = await authenticator.connection(NAME, PASSWORD)
    clock.now = 59.0
    assert await authenticator.connection(NAME, PASSWORD) is first
    assert sessions == [NAME]
    clock.now = 61.0
    assert await authenticator.connection(NAME, PASSWORD) is first, "one session a user"
    assert sessions == [NAME, NAME]


async def test_requests_that_come_together_share_one_login(authenticator, sessions):
    found = await asyncio.gather(*(authenticator.connection(NAME, PASSWORD) for _ in range(10)))
    assert len(set(map(id, found))) == 1
    assert sessions == [NAME]


async def test_one_who_gives_up_does_not_take_the_login_from_others(authenticator):
    impatient = asyncio.create_task(authenticator.authenticate(NAME, PASSWORD))
    patient = asyncio.create_task(authenticator.authenticate(NAME, PASSWORD))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).name == NAME


async def test_a_failure_is_never_remembered(authenticator, sessions):
    await refusal(authenticator, NAME, "wrong")
    assert (await authenticator.authenticate(NAME, PASSWORD)).name == NAME
    await refusal(authenticator, NAME, "wrong")
    assert sessions == [NAME] * 3


async def test_a_changed_password_ends_the_old_pair(authenticator):
    principal = await authenticator.authenticate("root", "root's password")
    await principal.call("session.change_password", "root's password", "another one")
    renewed = await authenticator.authenticate("root", "another one")
    assert await renewed.call("VM.get_all")
    assert (await refusal(authenticator, "root", "root's password")).status is Status.ACCESS_DENIED


@pytest.mark.parametrize(("user", "may"), [("root", True), ("operator", False), ("reader", False)])
async def test_the_role_says_who_may_administer(authenticator, pool, user, may):
    principal = await authenticator.authenticate(user, f"{user}'s password")
    assert principal.may_administer is may
    assert (await authenticator.authenticate(user, f"{user}'s password")).may_administer is may, "remembered as well"


async def test_a_change_of_role_shows_within_a_minute(authenticator, pool, clock):
    assert not (await authenticator.authenticate(NAME, PASSWORD)).may_administer
    set_password(pool.settings.users, NAME, PASSWORD, Role.named("pool-operator"))
    clock.now = 61.0
    assert (await authenticator.authenticate(NAME, PASSWORD)).may_administer


@pytest.mark.parametrize(
    ("answer", "may"),
    [
        ({"this_host": "", "this_user": ""}, True),  # Xen-API 1.0 has no roles
        ({"is_local_superuser": True, "rbac_permissions": []}, True),
        ({"is_local_superuser": False, "rbac_permissions": []}, False),
        (XenApiError("RBAC_PERMISSION_DENIED", ["session.get_record", ""]), False),
    ],
)
async def test_servers_of_every_age_say_who_may_administer(authenticator, monkeypatch, answer, may):
    call = Connection.call

    async def answered(self, method, *parameters, **options):
        if method != "session.get_record":
            return await call(self, method, *parameters, **options)
        if isinstance(answer, XenApiError):
            raise answer
        return answer

    monkeypatch.setattr(Connection, "call", answered)
    assert (await authenticator.authenticate(NAME, PASSWORD)).may_administer is may


async def test_a_session_that_ended_is_replaced_within_a_request(authenticator, pool, sessions):
    principal = await authenticator.authenticate(NAME, PASSWORD)
    await pool.stop()
    await pool.start()
    assert await principal.call("VM.get_all")
    assert sessions == [NAME, NAME]


async def test_a_door_that_checks_nothing_lets_nobody_in(pool):
    authenticator = XenApiAuthenticator(pool.url("open"))
    await authenticator.start()
    for _ in range(2):
        error = await refusal(authenticator, NAME, PASSWORD)
        assert error.status is Status.ACCESS_DENIED
        assert "without checking passwords" in error.description
    await authenticator.stop()


async def test_the_door_is_tried_again_after_the_server_was_away(authenticator, pool, monkeypatch):
    await authenticator.authenticate(NAME, PASSWORD)
    await pool.stop()
    error = await refusal(authenticator, "reader", "reader's password")
    assert error.status is Status.FAILED
    assert "cannot be reached" in error.description
    monkeypatch.setattr(authenticator, "_endpoint", pool.url("open"))  # it came back as somebody else
    await pool.start()
    assert "without checking" in (await refusal(authenticator, "reader", "reader's password")).description


async def test_an_absent_server_does_not_stop_a_start(pool):
    await pool.stop()
    authenticator = XenApiAuthenticator(pool.url("http"))
    await authenticator.start()
    assert (await refusal(authenticator, NAME, PASSWORD)).status is Status.FAILED
    await pool.start()
    assert (await authenticator.authenticate(NAME, PASSWORD)).name == NAME
    await authenticator.stop()


async def test_users_are_bounded(authenticator, monkeypatch, sessions):
    monkeypatch.setattr(access, "USERS", 2)
    for user in ["operator", "reader", "operator", "root", "operator"]:
        await authenticator.authenticate(user, f"{user}'s password")
    assert sessions == ["operator", "reader", "root"]
    await authenticator.authenticate("reader", "reader's password")
    assert sessions[-1] == "reader", "who was away longest was logged out"


async def test_passwords_show_nowhere(authenticator, caplog):
    principal = await authenticator.authenticate(NAME, PASSWORD)
    connection = await authenticator.connection(NAME, PASSWORD)
    kept = f"{principal!r} {vars(authenticator)} {authenticator._verified} {vars(connection)} {caplog.text}"
    assert PASSWORD not in kept


class TestWhoMayReadStill:
    """As the service asks at a door of its own."""

    @pytest.fixture
    async def authenticator(self, pool):
        authenticator = XenApiAuthenticator(pool.url("http"), service=pool.url("unix"))
        yield authenticator
        await authenticator.stop()

    async def test_users_with_a_role(self, authenticator):
        assert await authenticator.may_read(NAME)

    async def test_nobody_who_is_gone(self, authenticator, pool):
        users = pool.settings.users
        users.write_text("".join(line for line in users.read_text().splitlines(True) if not line.startswith(NAME)))
        assert not await authenticator.may_read(NAME)
        assert await authenticator.may_read("reader")

    async def test_nobody_whose_roles_were_taken(self, authenticator, xen):
        who = await xen.call("auth.get_subject_identifier", NAME)
        subject = await xen.call("subject.create", {"subject_identifier": who})
        assert await authenticator.may_read(NAME)
        (role,) = await xen.call("subject.get_roles", subject)
        await xen.call("subject.remove_from_roles", subject, role)
        assert not await authenticator.may_read(NAME)

    async def test_everybody_while_nobody_can_be_asked(self, authenticator, pool):
        await pool.stop()
        assert await authenticator.may_read("anybody")
        await pool.start()

    async def test_everybody_if_there_is_no_door_to_ask_at(self, pool):
        assert await XenApiAuthenticator(pool.url("http")).may_read("anybody")
