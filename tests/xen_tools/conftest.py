"""Fixtures for tests of the commands."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def carrier() -> Callable[[Path, bytes, str], Path]:
    """Make a source distribution with one member, as pip would leave it in a folder."""

    def make(folder: Path, data: bytes, member: str) -> Path:
        path = folder / "pywbem-1.9.1.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture
def archive() -> bytes:
    """A zip file of a tiny schema."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("cim_schema_2.49.0.mof", "")
    return data.getvalue()
