"""xenapid with a settings file: who is let in at each door, and what SIGHUP changes."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_certificate import client_certificate
from configured_daemon import (
    LOCAL,
    REFUSED,
    TLS,
    TRUSTING,
    WRONG,
    Daemon,
    connect,
    door,
    head,
    login,
    trusting,
)
from netserve import certificates
from netserve.doors import Tls


def from_nobody(hosts: str = r"^192\.0\.2\.") -> str:
    return f"allowed_hosts = ['{hosts}']"


@pytest.fixture(scope="module")
def client(folder: Path) -> Tls:
    return client_certificate(folder)


@pytest.fixture(scope="module")
def guarded(folder: Path, client: Tls) -> Iterator[Daemon]:
    """A daemon with a door of each kind."""
    doors = [
        door("unix", TRUSTING),
        door("127.0.0.1:0", LOCAL),
        door("localhost:0", TLS, LOCAL),
        door("*:0", "plaintext = true", LOCAL, from_nobody()),
        door("0.0.0.0:0", TLS, LOCAL, from_nobody()),
        door("LOCALHOST:0", TLS, LOCAL, f'client_authorities = "{client.certificate}"'),
    ]
    daemon = Daemon(folder / "guarded.toml", head(folder, "guarded") + "".join(doors))
    assert daemon.doors, daemon.errors
    yield daemon
    assert daemon.stop() == 0


@pytest.mark.parametrize("name", ["127.0.0.1:0", "localhost:0"])
def test_wrong_and_right_passwords(guarded, folder, name):
    connection = connect(guarded.doors[name], trusting(folder))
    assert login(connection, "wrong") == WRONG
    assert login(connection) == []


def test_a_unix_socket_trusts_its_peer_by_uid(guarded, folder):
    assert login(connect(guarded.doors["unix"]), "anything") == []
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    path = guarded.doors["unix"].removeprefix("http+unix://")
    for each in (folder, Path(path)):
        each.chmod(0o777)
    script = (
        "import os, socket; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        f"s.connect({path!r}); s.send(b'POST / HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n'); "
        "print(s.recv(99).split()[1])"
    )
    answer = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True)
    assert answer.stdout == "b'403'\n", answer.stderr


@pytest.mark.parametrize("name", ["*:0", "0.0.0.0:0"])
def test_a_refused_host_is_cut_off_without_an_answer(guarded, folder, name):
    connection = connect(guarded.doors[name], trusting(folder))
    with pytest.raises(REFUSED):
        login(connection)
    assert guarded.log("door.host_refused")["address"] == "127.0.0.1"


def test_a_client_without_a_certificate_is_refused(guarded, folder, client, tmp_path):
    url = guarded.doors["LOCALHOST:0"]
    stranger = client_certificate(tmp_path)
    for context in (trusting(folder), trusting(folder, stranger)):
        with pytest.raises(REFUSED):
            login(connect(url, context))
    assert login(connect(url, trusting(folder, client))) == []
    assert login(connect(url, trusting(folder, client)), "wrong") == WRONG


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", '[[xenapid.doors]]\nlisten = "*:0"\nplaintext = true\nauthentication = "none"'),
        ("a.toml", '[[xenapid.doors]]\nlisten = "0.0.0.0:0"\ntls = true\nauthentication = "none"'),
        ("a.sxp", "\n(xen-api-server ((0 none)))"),
    ],
)
def test_a_door_for_everybody_does_not_open_to_other_machines(tmp_path, name, text):
    daemon = Daemon(tmp_path / name, text)
    assert daemon.stop() == 1
    assert daemon.doors == {}
    (line,) = daemon.errors
    assert re.match(rf"xenapid: {tmp_path}/{name}:\d: .*authentication has to be .* other machines", line)


def test_sighup(folder, tmp_path):
    """Doors that stay keep their connections, others open and close; whatever is wrong changes nothing."""
    begin = head(folder, "reloaded")
    first = door("127.0.0.1:0", LOCAL)
    path = f"{folder}/other.sock"
    other = door(path, TRUSTING)
    daemon = Daemon(folder / "reloaded.toml", begin + first)
    try:
        inside = connect(daemon.doors["127.0.0.1:0"])
        assert login(inside) == []
        staying = inside.sock

        def still_in() -> None:
            assert login(inside) == []
            assert inside.sock is staying  # http.client would connect anew without a word

        daemon.reload(begin + first + other, "settings.read_again")
        still_in()
        assert login(connect(f"http+unix://{path}")) == []

        wrong = daemon.reload(begin + first + "[[xenapid.doors]]\nlisten = -1\n", "settings.wrong")
        number = (begin + first).count("\n") + 2
        assert wrong["problem"].startswith(f"{daemon.config}:{number}: xenapid.doors[1].listen has to be ")
        daemon.reload("no TOML", "settings.wrong")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            reason = daemon.reload(begin + first + door(port, LOCAL), "settings.not_taken")["reason"]
        assert reason.endswith("the port is already in use.")
        daemon.config.unlink()
        assert daemon.read_again("settings.wrong")["problem"].endswith("no such file or directory.")
        still_in()
        assert login(connect(f"http+unix://{path}")) == []

        daemon.reload(begin + first, "settings.read_again")
        still_in()
        assert not Path(path).exists()
        with contextlib.suppress(queue.Empty):
            while True:
                assert "Traceback" not in str(daemon.logged.get_nowait())
    finally:
        assert daemon.stop() == 0
    assert daemon.errors == []


def test_sighup_loads_a_replaced_certificate(folder, tmp_path):
    for name in ("key.pem", "certificate.pem"):
        shutil.copy(folder / "tls" / name, tmp_path / name)
    own = f'key = "{tmp_path}/key.pem"\ncertificate = "{tmp_path}/certificate.pem"'
    text = head(folder, "certificates") + door(0, LOCAL, own)
    daemon = Daemon(folder / "certificates.toml", text)
    try:
        url = daemon.doors["0"]
        earlier = connect(url, trusting(folder))
        assert login(earlier) == []
        other = certificates.ensure(tmp_path / "other")
        shutil.copy(other.key, tmp_path / "key.pem")
        assert "its certificate or key cannot be used" in daemon.reload(text, "settings.not_taken")["reason"]
        shutil.copy(other.certificate, tmp_path / "certificate.pem")
        daemon.reload(text, "settings.read_again")
        assert login(earlier) == []
        assert login(connect(url, ssl.create_default_context(cafile=other.certificate))) == []
        with pytest.raises(ssl.SSLError):
            login(connect(url, trusting(folder)))
    finally:
        assert daemon.stop() == 0
