"""xenapid with a settings file: who is let in at each door, and what SIGHUP changes."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import os
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from netserve import certificates
from netserve.doors import Tls
from xenapi_core.access.local import set_password

USER, PASSWORD = "root", "right"
LIMIT = 60


class Xenapid:
    """The daemon, with a settings file that a test may change."""

    def __init__(self, folder: Path, config: Path, text: str) -> None:
        self.folder = folder
        self.config = config
        self.config.write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xen_tools.xenapid", "--config", str(config), "--log-json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.logged: queue.Queue[dict[str, str]] = queue.Queue()
        self.errors: list[str] = []
        threading.Thread(target=self._read_log, daemon=True).start()
        line = self.process.stdout.readline()
        self.doors: dict[str, str] = json.loads(line)["doors"] if line else {}

    def _read_log(self) -> None:
        for line in self.process.stderr:
            if line.startswith("{"):
                self.logged.put(json.loads(line))
            else:
                self.errors.append(line.rstrip())

    def log(self, event: str) -> dict[str, str]:
        """Wait for an event in the log."""
        while True:
            entry = self.logged.get(timeout=LIMIT)
            if entry["event"] == event:
                return entry

    def reload(self, text: str, event: str) -> dict[str, str]:
        """Change the settings file, send SIGHUP, and wait for what the log says of it."""
        self.config.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        return self.log(event)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(LIMIT)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with what daemons of these tests have: users, a certificate."""
    path = Path(tempfile.mkdtemp(prefix="doors-", dir="/tmp"))
    set_password(path / "users", USER, PASSWORD)
    certificates.ensure(path / "tls")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def head(folder: Path, state: str) -> str:
    return (
        f'[xenapid]\nstate = "{folder}/{state}"\nusers = "{folder}/users"\ntls = "{folder}/tls"\n'
        f'socket = "{folder}/{state}.sock"\nhosts = 1\nvms = 1\n'
    )


def door(listen: int | str, *more: str) -> str:
    return "\n".join(["[[xenapid.doors]]", f"listen = {json.dumps(listen)}", *more, ""])


LOCAL, TLS, TRUSTING = 'authentication = "local"', "tls = true", 'authentication = "none"'


def from_nobody(hosts: str = r"^192\.0\.2\.") -> str:
    return f"allowed_hosts = ['{hosts}']"


class OnUnix(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def connect(url: str, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    scheme, _, place = url.partition("://")
    if scheme == "http+unix":
        connection = OnUnix("localhost", timeout=LIMIT)
        connection.host = place
        return connection
    port = int(place.rpartition(":")[2])
    if scheme == "https":
        return http.client.HTTPSConnection("localhost", port, timeout=LIMIT, context=context)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)


def login(connection: http.client.HTTPConnection, password: str = PASSWORD) -> list[str]:
    """Log in; return an error's code, [] if it succeeds."""
    body = xmlrpc.client.dumps((USER, password), "session.login_with_password").encode()
    connection.request("POST", "/", body, {"Content-Type": "text/xml"})
    (answer,), _ = xmlrpc.client.loads(connection.getresponse().read())
    return answer.get("ErrorDescription", [])[:1]


WRONG = ["SESSION_AUTHENTICATION_FAILED"]


def client_certificate(folder: Path) -> Tls:
    """Make a self-signed certificate of a client, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "client.pem", folder / "client.key")
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    tls.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return tls


@pytest.fixture(scope="module")
def client(folder: Path) -> Tls:
    return client_certificate(folder)


@pytest.fixture(scope="module")
def guarded(folder: Path, client: Tls) -> Iterator[Xenapid]:
    """A daemon with a door of each kind."""
    doors = [
        door("unix", TRUSTING),
        door("127.0.0.1:0", LOCAL),
        door("localhost:0", TLS, LOCAL),
        door("*:0", "plaintext = true", LOCAL, from_nobody()),
        door("0.0.0.0:0", TLS, LOCAL, from_nobody()),
        door("LOCALHOST:0", TLS, LOCAL, f'client_authorities = "{client.certificate}"'),
    ]
    daemon = Xenapid(folder, folder / "guarded.toml", head(folder, "guarded") + "".join(doors))
    assert daemon.doors, daemon.errors
    yield daemon
    assert daemon.stop() == 0


def trusting(folder: Path, own: Tls | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "tls" / "certificate.pem")
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


@pytest.mark.parametrize("name", ["127.0.0.1:0", "localhost:0"])
def test_wrong_and_right_passwords(guarded, folder, name):
    connection = connect(guarded.doors[name], trusting(folder))
    assert login(connection, "wrong") == WRONG
    assert login(connection) == []


def test_a_unix_socket_trusts_its_peer_by_uid(guarded):
    assert login(connect(guarded.doors["unix"]), "anything") == []
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    path = guarded.doors["unix"].removeprefix("http+unix://")
    for each in (guarded.folder, Path(path)):
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
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected, ssl.SSLError)):
        login(connection)
    assert guarded.log("door.host_refused")["address"] == "127.0.0.1"


def test_a_client_without_a_certificate_is_refused(guarded, folder, client, tmp_path):
    url = guarded.doors["LOCALHOST:0"]
    stranger = client_certificate(tmp_path)
    for context in (trusting(folder), trusting(folder, stranger)):
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected, ssl.SSLError)):
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
    daemon = Xenapid(tmp_path, tmp_path / name, text)
    assert daemon.stop() == 1
    assert daemon.doors == {}
    (line,) = daemon.errors
    assert re.match(rf"xenapid: {tmp_path}/{name}:\d: .*authentication has to be .* other machines", line)


def test_the_list_of_2007_opens_three_doors(folder):
    tls = certificates.ensure(folder / "tls")
    sxp = folder / "xend-config.sxp"
    sxp.write_text(
        r"(xen-api-server ((0 pam '^localhost$ example\\.com$')"
        f" (localhost:0 pam '' {tls.key} {tls.certificate}) (unix none)))"
    )
    daemon = Xenapid(folder, folder / "2007.toml", head(folder, "2007") + f'xend_config = "{sxp}"\n')
    try:
        assert sorted(url.partition("://")[0] for url in daemon.doors.values()) == ["http", "http+unix", "https"]
        for url in daemon.doors.values():
            expected = [] if url.startswith("http+unix") else WRONG
            assert login(connect(url, trusting(folder)), "certainly not the password") == expected
    finally:
        assert daemon.stop() == 0


def test_sighup(folder, tmp_path):
    """Doors that stay keep their connections, others open and close; whatever is wrong changes nothing."""
    begin = head(folder, "reloaded")
    first = door("127.0.0.1:0", LOCAL)
    path = f"{folder}/other.sock"
    other = door(path, TRUSTING)
    daemon = Xenapid(folder, folder / "reloaded.toml", begin + first)
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
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.log("settings.wrong")["problem"].endswith("no such file or directory.")
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
    daemon = Xenapid(folder, folder / "certificates.toml", text)
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
