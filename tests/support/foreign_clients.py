"""Clients that nobody here wrote, installed into a cache outside the repository, where they can be had."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"
ANSIBLE = ("ansible-core==2.19.5", "XenAPI", "requests")
ANSIBLE_WHEEL = "ansible==12.3.0"
"""The distribution that carries the collection community.general."""


def cache(name: str, *inputs: bytes) -> Path:
    """The folder of something that is made from these inputs."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xen-cim" / "clients"
    return root / f"{name}-{hashlib.sha256(b''.join(inputs)).hexdigest()[:12]}"


def run(*command: str | Path, **options: object) -> str:
    """Run a command to its end and return what it printed; CalledProcessError if it fails, with its output told."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=500, **options)
    if done.returncode:
        raise AssertionError(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def program(name: str, package: str) -> str:
    """The path of a program; skips the test if it is not there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: {package})")
    return found


def npm() -> Path:
    """The folder of the node programs, beside their packages; skips the test if they cannot be had."""
    program("node", "nodejs")
    manager = program("npm", "npm")
    manifest = (CLIENTS / "npm" / "package.json").read_bytes()
    folder = cache("npm", manifest)
    if not (folder / "node_modules" / "xen-api").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(manifest)
        try:
            run(manager, "install", "--no-save", "--no-audit", "--no-fund", "--fetch-retries=1", cwd=folder)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the npm packages cannot be installed: {error}")
    for script in (CLIENTS / "npm").glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


def ansible() -> Path:
    """The folder of an environment with ansible-playbook and community.general; skips if it cannot be had."""
    folder = cache("ansible", *(text.encode() for text in (*ANSIBLE, ANSIBLE_WHEEL, sys.version)))
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        python = folder / "bin" / "python"
        try:
            run(sys.executable, "-m", "venv", folder)
            run(python, "-m", "pip", "install", "--quiet", *ANSIBLE)
            run(python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, ANSIBLE_WHEEL)
            (wheel,) = folder.glob("ansible-*.whl")
            run(python, "-c", _UNPACK, wheel, folder)
            wheel.unlink()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"Ansible cannot be installed: {error}")
        (folder / "ready").touch()
    return folder


_UNPACK = """
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    part = "ansible_collections/community/general/"
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(part)])
"""
