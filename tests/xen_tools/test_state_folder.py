"""The folder that one run at a time may use."""

from __future__ import annotations

import os
import stat

import pytest

from xen_tools.errors import CommandError
from xen_tools.state_folder import StateFolder


@pytest.fixture
def state(tmp_path):
    folder = StateFolder(tmp_path / "state")
    lock = folder.open()
    yield folder
    os.close(lock)


def test_only_its_owner_may_look(state):
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700


def test_a_second_run_is_told(state):
    with pytest.raises(CommandError, match="in use by another") as raised:
        StateFolder(state.path).open()
    assert str(state.path) in str(raised.value)


def test_the_lock_goes_with_the_run(tmp_path):
    folder = StateFolder(tmp_path)
    for _ in range(2):
        os.close(folder.open())


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="cannot be written") as raised:
        StateFolder(tmp_path / "file" / "state").open()
    assert str(tmp_path / "file" / "state") in str(raised.value)


def test_a_password_is_generated_once(state):
    password = state.password(None)
    assert len(password) >= 16
    assert state.password(None) == password
    assert stat.S_IMODE(state.password_file.stat().st_mode) == 0o600


def test_a_given_password_is_kept(state):
    assert state.password("correct horse é") == "correct horse é"
    assert state.password(None) == "correct horse é"
    assert state.password_file.read_text() == "correct horse é\n"


def test_the_password_is_not_that_of_another_folder(state, tmp_path):
    other = StateFolder(tmp_path / "other")
    os.close(other.open())
    assert other.password(None) != state.password(None)


def test_endpoints(state):
    assert state.read_endpoints() == {}
    state.write_endpoints({"urls": {"cim-http": "http://127.0.0.1:5988"}})
    assert state.read_endpoints() == {"urls": {"cim-http": "http://127.0.0.1:5988"}}
    assert stat.S_IMODE(state.endpoints_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", ["", "{", "[]", "\x00"])
def test_damaged_endpoints_are_as_none(state, damaged):
    state.endpoints_file.write_text(damaged)
    assert state.read_endpoints() == {}
