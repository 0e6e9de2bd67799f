"""pywbem's source distribution: its end-to-end tests and the DTDs of DSP0203, fetched once into the cache folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from xen_tools.settings import cache_folder

NAME = "pywbem-1.9.1"
SHA256 = "b537ebe837c4fd6f227c75dd196175e105b95fae9adcf19f790457ba35753343"
DTD = "tests/dtd/DSP0203_2.4.0.dtd"


def pywbem_sources() -> Path:
    """Return the folder of the unpacked distribution; skip the test, with the reason, if it cannot be had."""
    folder = cache_folder(os.environ) / "pywbem-sources"
    unpacked = folder / NAME
    if not unpacked.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            with tarfile.open(_fetched(Path(scratch))) as archive:
                archive.extractall(scratch, filter="data")
            try:
                (Path(scratch) / NAME).rename(unpacked)
            except OSError:
                if not unpacked.exists():  # nobody else was faster
                    raise
    return unpacked


def _fetched(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pywbem"]
    command += ["--disable-pip-version-check", "--dest", str(folder), NAME.replace("-", "==")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("pip took too long to fetch pywbem's source distribution")
    if done.returncode != 0:
        pytest.skip(f"pywbem's source distribution cannot be fetched: {done.stderr.strip()[-200:]}")
    archive = folder / f"{NAME}.tar.gz"
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        pytest.skip("pywbem's source distribution has another checksum than the one these tests know")
    return archive
