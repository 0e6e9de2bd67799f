"""Daemons from outside: the ready line, stopping, errors; and children that do not outlive their parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from xen_tools.child import Child
from xen_tools.errors import CommandError

TOY = """
import argparse, sys
from netserve.doors import Door
from netserve.messages import Response
from netserve.server import HttpServer
from xen_tools import daemon

class Broken(Exception): pass

class Toy:
    def __init__(self, what):
        self.what = what
        self.http = HttpServer(self.answer, [Door("toy")])
    async def answer(self, request):
        return Response(body=b"toy")
    @property
    def doors(self):
        return self.http.doors
    async def start(self):
        if self.what == "broken": raise Broken("The toy is broken.")
        if self.what == "bug": raise ZeroDivisionError("a bug")
        if self.what == "slow":
            import asyncio
            await asyncio.sleep(3600)
        await self.http.start()
    async def failed(self):
        import asyncio
        if self.what == "failing": return Broken("The toy broke.")
        await asyncio.sleep(3600)
    async def stop(self):
        await self.http.close()
        if self.what != "broken": print("stopped", flush=True)

parser = argparse.ArgumentParser()
parser.add_argument("what", nargs="?")
daemon.add_arguments(parser)
arguments = parser.parse_args()
sys.exit(daemon.run("toy", lambda: Toy(arguments.what), arguments, (Broken,)))
"""


@pytest.fixture
def toy(tmp_path):
    """Start the toy daemon."""
    script = tmp_path / "toy.py"
    script.write_text(TOY)
    started = []

    def start(*arguments, stdin=subprocess.DEVNULL):
        started.append(
            subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ready_and_stopped_by_a_signal(toy, number):
    process = toy()
    ready = json.loads(process.stdout.readline())
    assert ready["ready"] is True
    assert ready["doors"]["toy"].startswith("http://127.0.0.1:")
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "stopped\n")


def test_stopped_by_the_end_of_input(toy):
    process = toy("--until-end-of-input", stdin=subprocess.PIPE)
    json.loads(process.stdout.readline())
    process.stdin.close()
    process.stdin = None
    assert process.communicate(timeout=20)[0] == "stopped\n"
    assert process.returncode == 0


def test_stopped_while_it_starts(toy):
    process = toy("slow", "--until-end-of-input", stdin=subprocess.PIPE)
    process.stdin.close()
    process.stdin = None
    assert process.communicate(timeout=20)[0] == "stopped\n"
    assert process.returncode == 0


def test_a_known_error_is_one_line(toy):
    process = toy("broken", "--log-level", "error")
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (1, "", "toy: The toy is broken.\n")


def test_a_server_that_cannot_go_on_ends_with_one_line(toy):
    process = toy("failing", "--log-level", "error")
    output, errors = process.communicate(timeout=20)
    assert output.endswith("stopped\n")
    assert (process.returncode, errors) == (1, "toy: The toy broke.\n")


def test_a_bug_is_seen(toy):
    process = toy("bug")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ZeroDivisionError: a bug" in errors


@pytest.mark.parametrize("command", ["xen_cim", "pycimom", "xenapid"])
def test_wrong_usage_is_exit_code_2(command):
    answer = subprocess.run(
        [sys.executable, "-m", f"xen_tools.{command}", "--no-such-option"], capture_output=True, text=True
    )
    assert answer.returncode == 2
    assert "usage:" in answer.stderr


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Let a Child run scripts of a test in place of the daemons."""

    def write(**scripts: str) -> None:
        package = tmp_path / "modules" / "xen_tools"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        for name, text in scripts.items():
            (package / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        monkeypatch.chdir(package.parent)

    return write


async def test_a_child_says_where_its_doors_are(modules, tmp_path):
    modules(good='import sys; print(\'{"ready": true, "doors": {"a": "http://h"}}\', flush=True); sys.stdin.read()')
    child = Child("good", tmp_path / "good.log")
    await child.start([])
    assert child.doors == {"a": "http://h"}
    os.kill(child.pid, 0)
    await child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


async def test_a_child_that_cannot_start_is_quoted(modules, tmp_path):
    modules(bad="import sys; print('noise\\nbad: The door is shut.', file=sys.stderr); sys.exit(1)")
    with pytest.raises(CommandError, match=r"^The door is shut\.$"):
        await Child("bad", tmp_path / "bad.log").start([])


async def test_a_child_that_dies_is_named_with_its_last_words(modules, tmp_path):
    modules(
        brief="""
        import sys
        print('{"ready": true, "doors": {}}', flush=True)
        sys.stderr.write("one\\ntwo\\n")
        sys.exit(7)
        """
    )
    child = Child("brief", tmp_path / "brief.log")
    await child.start([])
    words = await asyncio.wait_for(child.wait(), 20)
    assert words.startswith("brief ended with exit code 7")
    assert words.endswith("one\ntwo")


async def test_the_log_of_the_last_start_is_kept(modules, tmp_path):
    modules(bad="import sys; sys.exit('bad: no')")
    log = tmp_path / "bad.log"
    for text in ("first", "second"):
        if text == "second":
            log.write_text("first")
        with pytest.raises(CommandError):
            await Child("bad", log).start([])
    assert Path(f"{log}.1").read_text() == "first"
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_log_that_grows_is_begun_anew(modules, tmp_path, monkeypatch):
    monkeypatch.setattr("xen_tools.child.LOG_SIZE", 1000)
    monkeypatch.setattr("xen_tools.child.LOG_CHECKED", 0.01)
    modules(
        wordy="""
        import select, sys
        print('{"ready": true, "doors": {}}', flush=True)
        number = 0
        while not select.select([sys.stdin], [], [], 0.0005)[0]:
            number += 1
            print("line", number, "." * 50, file=sys.stderr, flush=True)
        """
    )
    log = tmp_path / "wordy.log"
    child = Child("wordy", log)
    await child.start([])
    last = Path(f"{log}.1")
    async with asyncio.timeout(60):
        while not last.exists() or "line 1 " in last.read_text():  # until it was cut twice
            await asyncio.sleep(0.01)
    await child.stop()
    assert b"\0" not in log.read_bytes() + last.read_bytes()
    assert last.stat().st_mode & 0o777 == 0o600
    assert len(log.read_bytes()) < 1_000_000
