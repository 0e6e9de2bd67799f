"""Starting, stopping, starting again, and everything that can be wrong at the start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge_process import environment, short_folder

ROOT = Path(__file__).resolve().parent.parent.parent


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def folder() -> Iterator[Path]:
    path = short_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def failure(state: Path, **settings: str) -> str:
    """Run a bridge that cannot start; return the one line that says why."""
    answer = subprocess.run(
        [sys.executable, "-m", "xen_tools.xen_cim", "run"],
        env=environment(state, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode not in (0, -6, -11), answer.stdout
    assert "Traceback" not in answer.stderr
    (line,) = answer.stderr.splitlines()
    return line


def test_the_second_run_finds_the_state_of_the_first(start_bridge, folder):
    first = start_bridge(folder, XEN_CIM_VMS="6")
    session = first.xenapi()
    refs = session.xenapi.VM.get_all()
    session.xenapi.VM.start(refs[-1], False)
    session.xenapi.VM.set_name_label(refs[-1], "kept over a restart: ☃")
    records = session.xenapi.VM.get_all_records()
    password, pids = first.password, first.endpoints["pids"]
    with first.wbem() as wbem:
        names = wbem.EnumerateInstanceNames("CIM_ComputerSystem")
    assert first.stop() == 0
    assert not any(alive(pid) for pid in pids.values())

    second = start_bridge(folder)
    assert second.password == password
    assert password in "\n".join(second.printed)
    session = second.xenapi()
    assert session.xenapi.VM.get_all() == refs
    again = session.xenapi.VM.get_all_records()
    for field in ["uuid", "name_label", "power_state", "VBDs", "VIFs", "resident_on", "allowed_operations"]:
        assert {ref: each[field] for ref, each in again.items()} == {ref: each[field] for ref, each in records.items()}
    with second.wbem() as wbem:
        assert wbem.EnumerateInstanceNames("CIM_ComputerSystem") == names


def test_what_a_start_prints(bridge):
    printed = "\n".join(bridge.printed)
    for text in [bridge.user, bridge.password, "pywbemcli", "wbemcli", "XenAPI", "login_with_password"]:
        assert text in printed
    for url in bridge.endpoints["urls"].values():
        assert url in printed
    assert "\x1b[" not in printed, "no colours where there is no terminal"


def test_user_and_password_may_be_given(start_bridge):
    bridge = start_bridge(XEN_CIM_USER="alice", XEN_CIM_PASSWORD="correct horse: é&<", XEN_CIM_VMS="2")
    session = bridge.xenapi()
    assert (bridge.user, bridge.password) == ("alice", "correct horse: é&<")
    assert session.xenapi.VM.get_all()
    kept = b"".join(path.read_bytes() for path in bridge.state.rglob("*") if path.is_file() and path.name != "password")
    assert "correct horse: é&<".encode() not in kept


def test_the_pool_is_as_large_as_asked_and_the_same_for_a_seed(start_bridge):
    settings = {"XEN_CIM_HOSTS": "3", "XEN_CIM_VMS": "5", "XEN_CIM_SEED": "42"}
    pools = []
    for _ in range(2):
        session = start_bridge(**settings).xenapi()
        records = session.xenapi.VM.get_all_records()
        pools.append({ref: (each["uuid"], each["name_label"]) for ref, each in records.items()})
        guests = [each for each in records.values() if not each["is_a_template"] and not each["is_control_domain"]]
        assert (len(guests), len(session.xenapi.host.get_all())) == (5, 3)
    assert pools[0] == pools[1]


class TestWhatCanBeWrong:
    """One clear line, and an exit code that is not 0."""

    def test_a_port_in_use(self, folder):
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", 5988))
                other.listen()
            except OSError:
                pass  # somebody else has it, which serves as well
            line = failure(folder, XEN_CIM_PORTS="")
        assert "port" in line
        assert "in use" in line

    def test_a_state_folder_that_cannot_be(self, folder):
        (folder / "file").touch()
        assert str(folder / "file") in failure(folder / "file" / "state")

    def test_a_state_folder_that_is_taken(self, bridge):
        assert str(bridge.state) in failure(bridge.state)

    def test_a_socket_left_by_somebody_else(self, folder):
        path = folder / "other.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
        assert str(path) in failure(folder / "state", XEN_CIM_SOCKET=str(path))

    def test_a_socket_in_a_folder_that_is_new(self, folder):
        path = folder / "xen-api.sock"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
        assert str(path) in failure(folder)

    def test_a_file_where_the_socket_should_be(self, folder):
        path = folder / "precious.txt"
        path.write_text("precious")
        assert str(path) in failure(folder / "state", XEN_CIM_SOCKET=str(path))
        assert path.read_text() == "precious"

    def test_no_network_for_the_schema(self, folder):
        dead = "http://127.0.0.1:9/simple"
        nowhere = {
            "PIP_INDEX_URL": dead,
            "PIP_EXTRA_INDEX_URL": dead,
            "PIP_RETRIES": "0",
            "PIP_CONFIG_FILE": os.devnull,
        }
        line = failure(folder / "state", XDG_CACHE_HOME=str(folder / "cache"), XEN_CIM_SCHEMA="", **nowhere)
        assert "XEN_CIM_SCHEMA" in line

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("XEN_CIM_VMS", "many"),
            ("XEN_CIM_VMS", "-1"),
            ("XEN_CIM_HOSTS", "0"),
            ("XEN_CIM_SEED", "x"),
            ("XEN_CIM_PORTS", "some"),
        ],
    )
    def test_a_setting_that_makes_no_sense(self, folder, name, value):
        assert name in failure(folder, **{name: value})


def test_a_socket_with_an_underscore_gets_a_warning(start_bridge, folder):
    bridge = start_bridge(folder / "state", XEN_CIM_SOCKET=str(folder / "xen_api.sock"), XEN_CIM_VMS="2")
    assert any("_" in line and "XenAPI" in line and "arning" in line for line in bridge.printed)


def test_a_socket_of_a_killed_server_is_replaced(start_bridge, folder):
    first = start_bridge(folder, XEN_CIM_VMS="2")
    path = first.socket
    os.kill(first.endpoints["pids"]["xenapid"], 9)
    first.process.wait(30)
    assert path.exists(), "killed before it could tidy up"
    second = start_bridge(folder)
    assert second.xenapi("xenapi-unix").xenapi.VM.get_all()


@pytest.mark.slow
def test_a_fresh_clone_in_an_empty_home(folder):
    """What the README promises: clone, `make run`; the second run needs neither network nor patience."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in ("LANG", "PATH")}
    home = folder / "home"
    home.mkdir()
    bare = kept | {"HOME": str(home), "XEN_CIM_PORTS": "auto", "XEN_CIM_STATE": str(folder / "state")}
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "clone")], check=True)
    for _ in range(2):
        with subprocess.Popen(
            ["make", "-s", "run"],
            cwd=folder / "clone",
            env=bare,
            stdout=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            printed = []
            for line in process.stdout:
                printed.append(line.rstrip())
                if line == "ready\n":
                    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
        assert printed[-1] == "ready", "\n".join(printed)
