"""Where the DMTF schema comes from. pip is replaced by what it leaves behind; the bridge's tests use the real one."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from xen_tools import schema, xen_cim
from xen_tools.errors import CommandError

PLACE = f"pywbem-1.9.1/{schema.MEMBER}"


@pytest.fixture
def pip(monkeypatch, carrier, archive):
    """Let pip bring a source distribution with a member of this name and content; returns what was called."""
    calls = []

    def bring(data=archive, member=PLACE):
        def run(command, **_):
            calls.append(command)
            carrier(Path(command[command.index("--dest") + 1]), data, member)

        monkeypatch.setattr(subprocess, "run", run)
        monkeypatch.setattr(schema, "ARCHIVE_SHA256", hashlib.sha256(archive).hexdigest())
        return calls

    return bring


def test_fetched_once(pip, archive, tmp_path, capsys):
    calls = pip()
    path = schema.obtain(tmp_path / "cache", None)
    assert path.read_bytes() == archive
    assert "Fetching" in capsys.readouterr().out
    assert schema.obtain(tmp_path / "cache", None) == path
    assert len(calls) == 1


def test_a_damaged_copy_is_fetched_again(pip, archive, tmp_path):
    pip()
    path = schema.obtain(tmp_path, None)
    path.write_bytes(b"half")
    assert schema.obtain(tmp_path, None).read_bytes() == archive


def test_a_given_file_is_used_without_network(pip, tmp_path):
    calls = pip()
    given = tmp_path / "given.zip"
    assert schema.obtain(tmp_path, given) == given
    assert calls == []


@pytest.mark.parametrize(
    ("brought", "why"),
    [({"data": b"something else"}, "another checksum"), ({"member": "pywbem-1.9.1/README"}, "as expected")],
)
def test_what_is_not_the_schema_is_refused(pip, tmp_path, brought, why):
    pip(**brought)
    with pytest.raises(CommandError, match=why) as raised:
        schema.obtain(tmp_path, None)
    assert "XEN_CIM_SCHEMA" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (
            subprocess.CalledProcessError(1, "pip", stderr="WARNING: x\nERROR: No matching distribution.\n"),
            "No matching",
        ),
        (subprocess.CalledProcessError(1, "pip", stderr="no module named pip"), "no module named pip"),
        (subprocess.CalledProcessError(1, "pip", stderr=""), "no reason"),
        (subprocess.TimeoutExpired("pip", 600), "600 s"),
        (FileNotFoundError("python"), "python"),
    ],
)
def test_no_network_is_one_line_with_the_way_out(monkeypatch, tmp_path, capsys, failure, why):
    def run(*_, **__):
        raise failure

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("XEN_CIM_SCHEMA", raising=False)
    assert xen_cim.main(["schema"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
    assert "XEN_CIM_SCHEMA" in line


def test_a_cache_folder_that_cannot_be(pip, tmp_path):
    pip()
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="cannot be written"):
        schema.obtain(tmp_path / "file" / "cache", None)


def test_a_file_that_is_no_schema(tmp_path):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"no zip")
    with pytest.raises(CommandError, match=r"bad\.zip"):
        schema.compile_schema(bad, tmp_path)


def test_progress_in_plain_lines(monkeypatch, tmp_path, capsys):
    def compile_all(archive, mof, cache, progress, *, whole_schema):
        for done in range(1, 101):
            progress(done, 100, "x.mof")

    monkeypatch.setattr(schema, "open_repository", compile_all)
    schema.compile_schema(tmp_path, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_the_whole_schema_is_remembered(monkeypatch, pip, tmp_path):
    pip()
    asked = []
    monkeypatch.setattr(schema, "open_repository", lambda *_, whole_schema: asked.append(whole_schema))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("XEN_CIM_SCHEMA", raising=False)
    for command in (["schema"], ["schema", "--all"], ["schema"]):
        assert xen_cim.main(command) == 0
        assert schema.is_whole(tmp_path / "xen-cim") is (command[1:] == ["--all"])
    assert asked == [False, True, False]


def test_the_model_has_mof_files():
    assert "Xen.mof" in [path.name for path in schema.model_files()]
