"""pycimom with a settings file: who is let in at each of its doors, and what SIGHUP changes. pywbem is the client."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import pywbem

from client_certificate import client_certificate
from configured_daemon import LOCAL, PASSWORD, PYCIMOM, TRUSTING, USER, Daemon, door, head
from netserve.doors import Tls
from xen_tools.settings import cache_folder, schema_file

WRONG = "a wrong password"


def cim_door(listen: str, *more: str) -> str:
    return door(listen, *more).replace("xenapid", "pycimom")


@pytest.fixture(scope="module")
def client(folder: Path) -> Tls:
    return client_certificate(folder)


@pytest.fixture(scope="module")
def settings(folder: Path) -> Iterator[str]:
    """pycimom's settings, all but doors, for a Xen-API that runs."""
    doors = door("unix", TRUSTING) + door("127.0.0.1:0", LOCAL)
    daemon = Daemon(folder / "xenapid.toml", head(folder, "pool") + doors)
    try:
        assert daemon.doors, daemon.errors
        schema = schema_file(os.environ)
        lines = {
            "state": f"{folder}/cim",
            "tls": f"{folder}/tls",
            "cache": str(cache_folder(os.environ)),
            "xen_api": daemon.doors["unix"],
            "passwords": daemon.doors["127.0.0.1:0"],
            **({"schema": str(schema)} if schema else {}),
        }
        yield "\n".join(["[pycimom]", *(f"{name} = {json.dumps(value)}" for name, value in lines.items()), ""])
    finally:
        assert daemon.stop() == 0


@pytest.fixture(scope="module")
def guarded(folder: Path, client: Tls, settings: str) -> Iterator[Daemon]:
    """A daemon with a door of each kind."""
    doors = [
        cim_door("127.0.0.1:0"),
        cim_door("localhost:0", "tls = true"),
        cim_door("*:0", "plaintext = true", r"allowed_hosts = ['^192\.0\.2\.']"),
        cim_door("LOCALHOST:0", "tls = true", f'client_authorities = "{client.certificate}"'),
    ]
    daemon = Daemon(folder / "pycimom.toml", settings + "".join(doors), PYCIMOM)
    assert daemon.doors, daemon.errors
    yield daemon
    assert daemon.stop() == 0


def names(folder: Path, url: str, password: str = PASSWORD, own: Tls | None = None) -> list[str]:
    """Ask for the names of computer systems."""
    options = {"x509": {"cert_file": str(own.certificate), "key_file": str(own.key)}} if own else {}
    if url.startswith("https"):
        url, options["ca_certs"] = f"https://localhost:{url.rpartition(':')[2]}", str(folder / "tls/certificate.pem")
    with pywbem.WBEMConnection(url, (USER, password), "root/cimv2", timeout=60, **options) as connection:
        return [each["Name"] for each in connection.EnumerateInstanceNames("Xen_ComputerSystem")]


@pytest.mark.parametrize("name", ["127.0.0.1:0", "localhost:0"])
def test_wrong_and_right_passwords(guarded, folder, name):
    assert names(folder, guarded.doors[name])
    with pytest.raises(pywbem.AuthError):
        names(folder, guarded.doors[name], WRONG)


def test_a_refused_host_is_cut_off_without_an_answer(guarded, folder):
    port = guarded.doors["*:0"].rpartition(":")[2]
    with pytest.raises(pywbem.ConnectionError):
        names(folder, f"http://127.0.0.1:{port}")
    assert guarded.log("door.host_refused")["address"] == "127.0.0.1"


def test_a_client_without_a_certificate_is_refused(guarded, folder, client, tmp_path):
    url = guarded.doors["LOCALHOST:0"]
    for stranger in (None, client_certificate(tmp_path)):
        with pytest.raises(pywbem.ConnectionError):
            names(folder, url, own=stranger)
    assert names(folder, url, own=client)
    with pytest.raises(pywbem.AuthError):
        names(folder, url, WRONG, client)


def test_sighup(folder, settings, unused_tcp_port):
    """Doors open and close while it serves; whatever is wrong changes nothing."""
    first = settings.replace("/cim", "/other") + cim_door("127.0.0.1:0")
    daemon = Daemon(folder / "reloaded.toml", first, PYCIMOM)
    try:
        url, other = daemon.doors["127.0.0.1:0"], f"http://127.0.0.1:{unused_tcp_port}"
        second = cim_door(f"127.0.0.1:{unused_tcp_port}")
        daemon.reload(first + second, "settings.read_again")
        assert names(folder, url) == names(folder, other)
        problem = daemon.reload(first + cim_door("*:0"), "settings.wrong")["problem"]
        line = first.count("\n") + 2
        assert problem.startswith(f"{daemon.config}:{line}: pycimom.doors[1].listen would send passwords in clear")
        assert names(folder, url) == names(folder, other)
        daemon.reload(first, "settings.read_again")
        assert names(folder, url)
        with pytest.raises(pywbem.ConnectionError):
            names(folder, other)
    finally:
        assert daemon.stop() == 0
    assert daemon.errors == []
