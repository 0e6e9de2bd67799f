"""Fixtures for tests of the commands."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configured_daemon import PASSWORD, USER
from netserve import certificates
from xenapi_core.access.local import set_password


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


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with what daemons of these tests have: users, a certificate."""
    path = Path(tempfile.mkdtemp(prefix="doors-", dir="/tmp"))
    set_password(path / "users", USER, PASSWORD)
    certificates.ensure(path / "tls")
    yield path
    shutil.rmtree(path, ignore_errors=True)
