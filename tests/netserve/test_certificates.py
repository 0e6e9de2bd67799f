"""Certificates, private files and logs."""

from __future__ import annotations

import datetime
import io
import json
import logging
import stat

import pytest
import structlog
from cryptography import x509

from netserve import certificates, logs
from netserve.files import write_atomically


def names(path):
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return [str(each.value) for each in certificate.extensions.get_extension_for_oid(
        x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    ).value]  # fmt: skip


def test_made_once_and_kept(tmp_path):
    first = certificates.ensure(tmp_path / "tls")
    content = first.certificate.read_bytes(), first.key.read_bytes()
    assert names(first.certificate) == ["localhost", "127.0.0.1", "::1"]
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    second = certificates.ensure(tmp_path / "tls")
    assert second == first
    assert (second.certificate.read_bytes(), second.key.read_bytes()) == content


def test_made_anew_when_the_names_change(tmp_path):
    certificates.ensure(tmp_path)
    tls = certificates.ensure(tmp_path, ["localhost", "bridge.example"])
    assert names(tls.certificate) == ["localhost", "bridge.example"]


@pytest.mark.parametrize("broken", ["certificate.pem", "key.pem"])
@pytest.mark.parametrize("content", [b"", b"no PEM", None])
def test_made_anew_when_a_file_is_damaged_or_gone(tmp_path, broken, content):
    certificates.ensure(tmp_path)
    (tmp_path / broken).unlink()
    if content is not None:
        (tmp_path / broken).write_bytes(content)
    tls = certificates.ensure(tmp_path)
    assert names(tls.certificate) == list(certificates.LOOPBACK)


def test_made_anew_when_key_and_certificate_are_of_two_pairs(tmp_path):
    one, two = certificates.ensure(tmp_path / "1"), certificates.ensure(tmp_path / "2")
    one.key.write_bytes(two.key.read_bytes())
    before = one.certificate.read_bytes()
    assert certificates.ensure(tmp_path / "1").certificate.read_bytes() != before


def test_renewed_before_it_expires(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates, "VALIDITY", datetime.timedelta(days=29))
    before = certificates.ensure(tmp_path).certificate.read_bytes()
    monkeypatch.undo()
    assert certificates.ensure(tmp_path).certificate.read_bytes() != before


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def logged():
    """Undo the configuration of the logs."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_lines_for_people(logged):
    logs.configure("info", stream=logged)
    structlog.get_logger("test").info("door.open", door="http", authorization="Basic c2VjcmV0")
    structlog.get_logger("test").debug("not.shown")
    logging.getLogger("library").warning("odd %s", "thing")
    text = logged.getvalue()
    assert "door.open" in text
    assert "door=http" in text
    assert "odd thing" in text
    assert "c2VjcmV0" not in text
    assert "not.shown" not in text
    assert "\x1b" not in text


def test_json_for_programs(logged):
    logs.configure("debug", json=True, stream=logged)
    log = structlog.get_logger("test")
    log.debug("shown", n=1)
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed", Password="x")
    logging.getLogger("library").error("odd")
    first, second, third = map(json.loads, logged.getvalue().splitlines())
    assert (first["event"], first["n"], first["level"]) == ("shown", 1, "debug")
    assert "ValueError: why" in second["exception"]
    assert second["Password"] == "(hidden)"
    assert third["event"] == "odd"
