"""pywbem's own tests against this server: its end-to-end tests, and its operations by hand (docs/conformance.md)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pywbem_sources import pywbem_sources
from wbem_server import PASSWORD, USER, WbemServer

ROOT = Path(__file__).parents[2]
LISTENER_PORT = 5000
"""Where the end-to-end tests listen for indications."""

CAPABILITIES = ("interop", "namespaces", "profiles", "snia-server")
OTHERS_BUSINESS = ("smis", "snia-smis")
"""Capabilities of storage servers."""

SERVER_FILE = """
vault_file: es_vault.yml
default: here
server_groups: {{}}
servers:
  here:
    description: the server under test
    user_defined: {{url: "{url}", default_namespace: root/cimv2, capabilities: [{capabilities}]}}
"""
VAULT_FILE = f"secrets: {{here: {{user: {USER}, password: {PASSWORD}, no_verification: true}}}}\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of pywbem's tests to run in: they write files beside themselves."""
    folder = tmp_path / "pywbem"
    shutil.copytree(pywbem_sources() / "tests", folder / "tests")
    return folder


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "TEST_INSTALLED": "1", "PYTHONPATH": f"{ROOT / 'tests/support'}{os.pathsep}{folder}"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout


def check_listener() -> None:
    """Skip unless the tests can listen where they want to, and find out this machine's address as they do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 80))  # sends nothing
        except OSError:
            pytest.skip("pywbem's end-to-end tests need a route to anywhere, and there is none")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", LISTENER_PORT))
        except OSError:
            pytest.skip(f"pywbem's end-to-end tests listen on port {LISTENER_PORT}, which is in use")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_end_to_end(server: WbemServer, sources: Path):
    pytest.importorskip("pytest_easy_server")
    check_listener()
    folder = sources / "tests" / "end2endtest"
    (folder / "es_server.yml").write_text(SERVER_FILE.format(url=server.url, capabilities=", ".join(CAPABILITIES)))
    (folder / "es_vault.yml").write_text(VAULT_FILE)
    options = ["-p", "listen_anywhere", "-p", "no:cacheprovider", "-p", "no:asyncio", "-rs", "-q"]
    files = [f"--es-file={folder / 'es_server.yml'}", f"--es-schema-file={folder / 'es_schema.yml'}"]
    printed = run(sources, "-m", "pytest", *options, *files, "tests/end2endtest")
    summary = printed.splitlines()[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", summary)}
    assert counts.get("failed", 0) + counts.get("error", 0) == 0, printed[-6000:]
    assert counts["passed"] >= 46, printed[-6000:]
    skipped = re.findall(r"^SKIPPED .*does not support capability: (\S+)$", printed, re.MULTILINE)
    assert len(skipped) == len(re.findall(r"^SKIPPED", printed, re.MULTILINE)), printed[-6000:]
    assert set(skipped) <= set(OTHERS_BUSINESS)


def known_failures() -> set[str]:
    """The tests that docs/conformance.md says do not pass."""
    text = (ROOT / "docs" / "conformance.md").read_text()
    return set(re.findall(r"^\| `(\w+\.\w+)` \|", text, re.MULTILINE))


def test_operations(server: WbemServer, sources: Path):
    script = sources / "tests" / "manualtest" / "run_cim_operations.py"
    # Its option -l for the long tests comes too late for the decorators that skip them.
    text = script.read_text()
    script.write_text(text.replace("\nSKIP_LONGRUNNING_TEST = True\n", "\nSKIP_LONGRUNNING_TEST = False\n"))
    printed = run(
        sources, "-W", "ignore", "-m", "tests.manualtest.run_cim_operations", server.url, f"{USER}%{PASSWORD}"
    )
    (ran,) = re.findall(r"^Ran (\d+) tests", printed, re.MULTILINE)
    failed = set(re.findall(r"^(?:ERROR|FAIL): \w+ \(__main__\.(\w+\.\w+)\)", printed, re.MULTILINE))
    (skips,) = re.findall(r"skipped=(\d+)", printed)
    passed = int(ran) - len(failed) - int(skips)
    assert int(ran) == 211, printed[-3000:]
    assert passed >= 200, printed[-6000:]
    assert failed <= known_failures(), printed[-6000:]
    assert len(known_failures()) == len(failed) + int(skips), "each of the rest is listed, and nothing else"
