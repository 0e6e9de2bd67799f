"""The list xen-api-server of xend's settings, with the doors of its example: who is let in at each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pam_stack
from configured_daemon import PASSWORD, REFUSED, WRONG, Daemon, connect, head, login, trusting
from netserve import certificates

pytestmark = pytest.mark.skipif(bool(pam_stack.why_not()), reason=pam_stack.why_not())

ELSEWHERE = "127.0.0.9"
"""An address that a client on Linux can come from, and that has no name."""


class OldHost:
    """A daemon that goes on with xend's settings; PAM lets in everybody with the right password."""

    def __init__(self, folder: Path, plain: int, tls: int) -> None:
        made = certificates.ensure(folder / "tls")
        self.sxp = folder / "xend-config.sxp"
        self.entries = [
            rf"({plain} pam '^localhost$ example\\.com$')",
            f"({tls} pam '' {made.key} {made.certificate})",
            "(unix none)",
        ]
        self.write(self.entries)
        stack = pam_stack.make(folder / "pam.d")
        text = head(folder, "2007") + f'xend_config = "{self.sxp}"\n'
        self.daemon = Daemon(folder / "2007.toml", text, (str(Path(pam_stack.__file__)), str(stack)))
        assert self.daemon.doors, self.daemon.errors
        self.plain, self.tls = f"http://127.0.0.1:{plain}", f"https://localhost:{tls}"
        self.unix = self.daemon.doors["unix"]

    def write(self, entries: list[str]) -> None:
        self.sxp.write_text("(logfile /var/log/xen/xend.log)\n(xen-api-server (\n{}))\n".format("\n".join(entries)))


@pytest.fixture(scope="module")
def old_host(folder: Path, unused_tcp_port_factory) -> Iterator[OldHost]:
    assert pam_stack.PASSWORD == PASSWORD
    host = OldHost(folder, unused_tcp_port_factory(), unused_tcp_port_factory())
    yield host
    assert host.daemon.stop() == 0


def test_three_doors_open(old_host):
    assert sorted(url.partition("://")[0] for url in old_host.daemon.doors.values()) == ["http", "http+unix", "https"]


def test_the_plain_door_asks_pam_and_lets_in_listed_hosts_only(old_host):
    connection = connect(old_host.plain)
    assert login(connection, "wrong") == WRONG
    assert login(connection) == []
    with pytest.raises(REFUSED):
        login(connect(old_host.plain, come_from=ELSEWHERE))
    assert old_host.daemon.log("door.host_refused")["address"] == ELSEWHERE


def test_the_tls_door_asks_pam_and_shows_its_certificate(old_host, folder, tmp_path):
    connection = connect(old_host.tls, trusting(folder))
    assert login(connection, "wrong") == WRONG
    assert login(connection) == []
    certificates.ensure(tmp_path / "tls")
    with pytest.raises(REFUSED):
        login(connect(old_host.tls, trusting(tmp_path)))
    with pytest.raises(REFUSED):
        login(connect(old_host.tls.replace("https", "http")))


def test_the_unix_door_asks_for_no_password(old_host):
    assert login(connect(old_host.unix), "anything") == []


def test_a_bad_entry_is_named_with_its_line_and_leaves_the_doors_open(old_host, folder):
    inside = connect(old_host.plain)
    assert login(inside) == []
    staying = inside.sock
    first, *others = old_host.entries
    for entry, told in {
        "(9363 none)": "entry 2: authentication has to be",
        "(9364 ldap)": "entry 2: authentication has to be",
        "(9364 pam '(')": "entry 2: allowed_hosts has to be a list of regular expressions",
        "(9364 pam '' /no.key)": "entry 2: certificate is missing",
    }.items():
        old_host.write([first, entry, *others])
        problem = old_host.daemon.read_again("settings.wrong")["problem"]
        assert problem.startswith(f"{old_host.sxp}:4: xen-api-server, {told}")
    old_host.write([first, "(9364 pam '' /no.key /no.crt)", *others])
    assert "its certificate or key cannot be used" in old_host.daemon.read_again("settings.not_taken")["reason"]
    assert login(inside) == []
    assert inside.sock is staying
    assert login(connect(old_host.tls, trusting(folder))) == []
    assert login(connect(old_host.unix)) == []
    old_host.write(old_host.entries)
    old_host.daemon.read_again("settings.read_again")
    assert login(inside) == []
    assert inside.sock is staying
