"""Every command and every Python snippet in the docs is run as it stands, against a running bridge."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MAKE = re.compile(r"^make [a-z-]+( +#.*)?$", re.MULTILINE)
"""make's targets are what CI calls; here it is enough that they exist."""


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def here(text: str, bridge) -> str:
    """Put the addresses of the bridge under test in place of the fixed ones that a user has."""
    urls = bridge.endpoints["urls"]
    for fixed, door in {"5988": "cim-http", "5989": "cim-https", "9363": "xenapi-http", "9367": "xenapi-https"}.items():
        port = urls[door].rpartition(":")[2]
        text = text.replace(f"127.0.0.1:{fixed}", f"127.0.0.1:{port}")
    programs = str(Path(sys.executable).parent)
    text = text.replace("~/.local/state/xen-cim", str(bridge.state))
    return re.sub(r"(\$PWD/)?\.venv/bin", programs, text)


def in_one_shell(script: str, bridge, home: Path) -> str:
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here(script, bridge)],
        cwd=ROOT,
        env=os.environ | {"XEN_CIM_STATE": str(bridge.state), "HOME": str(home), "LISTENER_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture
def preparation() -> str:
    """The README's block that sets the variables which all later commands use."""
    return next(block for block in blocks(ROOT / "README.md", "sh") if "PYWBEMCLI_SERVER" in block)


@pytest.fixture
def restored(bridge) -> Iterator[None]:
    """Halt again what the commands of the docs start."""
    session = bridge.xenapi()
    halted = [ref for ref, vm in session.xenapi.VM.get_all_records().items() if vm["power_state"] == "Halted"]
    yield
    for ref in halted:
        if session.xenapi.VM.get_power_state(ref) != "Halted":
            session.xenapi.VM.hard_shutdown(ref)


SHELL = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "sh"))
    if "watch_states" not in block
]


@pytest.mark.parametrize("block", SHELL)
def test_shell(block, bridge, preparation, restored, tmp_path):
    targets = (ROOT / "Makefile").read_text()
    for line in MAKE.finditer(block):
        name = line[0].split()[1]
        assert re.search(rf"^{name}:", targets, re.MULTILINE), f"there is no {line[0]}"
    rest = MAKE.sub("", block)
    if "wbemcli ein" in rest and subprocess.run(["which", "wbemcli"], capture_output=True).returncode:
        pytest.skip("wbemcli is not installed (Debian: sblim-wbemcli)")
    if rest.strip():
        assert in_one_shell(preparation + rest, bridge, tmp_path) or block == preparation


PYTHON = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "python"))
]


@pytest.mark.parametrize("block", PYTHON)
def test_python(block, bridge, capsys):
    exec(compile(here(block, bridge), "docs", "exec"), {"user": bridge.user, "password": bridge.password})
    assert capsys.readouterr().out


def test_the_listener_of_the_docs_prints_a_start(bridge, restored, unused_tcp_port):
    (block,) = (block for block in blocks(ROOT / "docs" / "indications.md", "sh") if "watch_states" in block)
    command = block.strip().replace(".venv/bin/python", sys.executable).split()
    session = bridge.xenapi()
    vm = session.xenapi.VM.get_all()[-1]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"XEN_CIM_STATE": str(bridge.state), "LISTENER_PORT": str(unused_tcp_port)},
        stdout=subprocess.PIPE,
        text=True,
    ) as watcher:
        try:
            assert watcher.stdout.readline() == "subscribed\n"
            session.xenapi.VM.start(vm, False)
            assert watcher.stdout.readline() == f"{session.xenapi.VM.get_name_label(vm)}: EnabledState 3 -> 2\n"
            assert watcher.wait(30) == 0
        finally:
            watcher.kill()


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
