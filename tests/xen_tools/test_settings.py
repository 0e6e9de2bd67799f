"""What the environment may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xen_tools.errors import CommandError
from xen_tools.settings import Settings


def test_the_defaults(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Settings.read({}) == Settings(
        state=Path("/home/somebody/.local/state/xen-cim"),
        cache=Path("/home/somebody/.cache/xen-cim"),
        socket=Path("/home/somebody/.local/state/xen-cim/xen-api.sock"),
        user="admin",
        password=None,
        hosts=2,
        vms=12,
        seed=1,
        free_ports=False,
        schema=None,
    )


def test_everything_said(tmp_path):
    schema = tmp_path / "schema.zip"
    schema.touch()
    settings = Settings.read(
        {
            "XEN_CIM_STATE": str(tmp_path / "state"),
            "XEN_CIM_USER": "alice",
            "XEN_CIM_PASSWORD": "secret é",
            "XEN_CIM_HOSTS": "3",
            "XEN_CIM_VMS": "0",
            "XEN_CIM_SEED": "42",
            "XEN_CIM_PORTS": "auto",
            "XEN_CIM_SOCKET": "/run/x.sock",
            "XEN_CIM_SCHEMA": str(schema),
            "XDG_CACHE_HOME": "/var/cache",
        }
    )
    assert settings == Settings(
        tmp_path / "state", Path("/var/cache/xen-cim"), Path("/run/x.sock"), "alice", "secret é", 3, 0, 42, True, schema
    )


def test_xdg_folders_and_relative_paths():
    settings = Settings.read({"XDG_STATE_HOME": "/var/state", "XEN_CIM_SOCKET": "here.sock"})
    assert settings.state == Path("/var/state/xen-cim")
    assert settings.socket == Path.cwd() / "here.sock"


def test_empty_is_not_set():
    names = ("STATE", "USER", "PASSWORD", "HOSTS", "VMS", "SEED", "PORTS", "SOCKET", "SCHEMA")
    assert Settings.read({f"XEN_CIM_{name}": "" for name in names}) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XEN_CIM_HOSTS", "0"),
        ("XEN_CIM_HOSTS", "65"),
        ("XEN_CIM_VMS", "-1"),
        ("XEN_CIM_VMS", "many"),
        ("XEN_CIM_VMS", "1.5"),
        ("XEN_CIM_SEED", "²"),
        ("XEN_CIM_PORTS", "some"),
        ("XEN_CIM_USER", "a:b"),
        ("XEN_CIM_USER", "#a"),
        ("XEN_CIM_PASSWORD", "two\nlines"),
        ("XEN_CIM_SCHEMA", "/no/such/file.zip"),
        ("XEN_CIM_SOCKET", "/" + "x" * 107),
        ("XEN_CIM_STATE", "/" + "x" * 107),
    ],
)
def test_what_makes_no_sense_is_named(name, value):
    with pytest.raises(CommandError) as raised:
        Settings.read({name: value})
    assert raised.value.code == 2
    shown = "XEN_CIM_SOCKET" if name == "XEN_CIM_STATE" else name
    assert str(raised.value).startswith(f"{shown} makes no sense: ")


@given(st.text(min_size=1))
def test_a_number_is_taken_or_refused_in_one_sentence(text):
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 64:
        assert Settings.read({"XEN_CIM_HOSTS": text}).hosts == int(text)
    else:
        with pytest.raises(CommandError) as raised:
            Settings.read({"XEN_CIM_HOSTS": text})
        assert "\n" not in str(raised.value)


def test_a_socket_that_one_client_cannot_reach_gets_a_warning():
    (warning,) = Settings.read({"XEN_CIM_SOCKET": "/run/xen_api.sock"}).warnings()
    assert "/run/xen_api.sock" in warning
    assert Settings.read({"XEN_CIM_SOCKET": "/run/xen-api.sock"}).warnings() == []
    assert Settings.read({"XEN_CIM_SOCKET": "/" + "x" * 106}).warnings() == []
