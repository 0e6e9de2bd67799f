"""`xen-cim validate`: it finds nothing on this server, and each fault of one that has faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge_process import Bridge, run_bridge, short_folder
from faulty_server import FaultyServer
from seeded_faults import SEEDS
from xen_tools import xen_cim
from xen_tools.validation.findings import RULES
from xen_tools.validation.mof import in_map
from xen_tools.validation.sampling import Sample

pytestmark = pytest.mark.timeout(400)  # each asks thousands of questions

SHARED_STORAGE = {("reference.most", "Xen_StoragePool"), ("reference.least", "Xen_DiskImage")}
"""Storage that hosts share is hosted by each of them, and its images are devices of none: not as the schema has it,
where everything has one host."""
OF_SNAPSHOTS = {("reference.least", "Xen_MemoryState")}
"""The memory of a snapshot is a device of no system; a snapshot is none."""
PINNED = {("reference.most", "Xen_Processor")}
"""A virtual processor may be pinned to several processors, where the schema has one."""


@pytest.fixture(scope="module")
def small_bridge() -> Iterator[Bridge]:
    folder = short_folder()
    running = run_bridge(folder, XEN_CIM_VMS="3", XEN_CIM_SEED="7")
    try:
        yield running
    finally:
        running.stop()


def validate(bridge: Bridge, url: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XEN_CIM_PASSWORD", bridge.password)
        capsys.readouterr()
        code = xen_cim.main(["validate", url, "--user", bridge.user, "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def broken(answer: Any) -> set[tuple[str, str]]:
    return {(each["rule"], each["subject"].partition(".")[0]) for each in answer["findings"]}


def test_nothing_is_wrong_with_this_server(small_bridge, capsys):
    code, answer = validate(
        small_bridge, small_bridge.url("cim-https"), capsys, "--sample", "2", "--ca", small_bridge.certificate
    )
    assert answer["findings"] == []
    assert code == 0
    assert answer["namespaces"] == 2
    assert answer["instances"] > 500


@pytest.mark.slow
def test_nothing_is_wrong_with_any_instance_of_a_bigger_pool(bridge, capsys):
    _, answer = validate(bridge, bridge.url("cim-http"), capsys, "--cardinalities")
    assert broken(answer) <= SHARED_STORAGE | OF_SNAPSHOTS | PINNED, answer["findings"]


@pytest.fixture(scope="module")
def findings(small_bridge) -> Callable[[pytest.CaptureFixture[str]], Any]:
    """What is found on a server that has all faults at once; looked at once."""
    found: list[Any] = []

    def look(capsys: pytest.CaptureFixture[str]) -> Any:
        if not found:
            server = FaultyServer(small_bridge.url("cim-http"), [each.fault for each in SEEDS])
            try:
                code, answer = validate(small_bridge, server.url, capsys, "--sample", "1", "--cardinalities")
            finally:
                server.stop()
            assert code == 1
            found.append(answer)
        return found[0]["findings"]

    return look


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=lambda each: each.name)
def test_each_seeded_fault_is_found(findings, seed, capsys):
    texts = [each for each in findings(capsys) if each["rule"] == seed.rule]
    assert [each for each in texts if each["subject"].startswith(seed.subject)], texts


def test_there_are_enough_faults_for_all_rules():
    assert len({each.name for each in SEEDS}) == len(SEEDS) >= 40
    untried = {"reference.most"}  # shown by SHARED_STORAGE
    assert {each.rule for each in SEEDS} == set(RULES) - untried


@pytest.mark.parametrize(
    ("value", "entries", "is_in"),
    [
        (3, ["2", "3"], True),
        (4, ["2", "3"], False),
        (4, ["2", "3.."], True),
        (4, ["..5"], True),
        (6, ["..5"], False),
        (9, ["0", ".."], True),
        (32768, ["0", "1..32767"], False),
        ("Happy", ["OK", "Error"], False),
        ("OK", ["OK", "Error"], True),
    ],
)
def test_value_maps(value, entries, is_in):
    assert in_map(value, entries) == is_in


def test_samples_are_spread():
    assert list(Sample().of(range(5))) == [0, 1, 2, 3, 4]
    assert list(Sample(3).of(range(101))) == [0, 50, 100]
    assert list(Sample(1).of(range(5))) == [0]


def test_a_server_that_is_not_there_has_another_exit_code(capsys, monkeypatch, unused_tcp_port):
    monkeypatch.setenv("XEN_CIM_PASSWORD", "any")
    assert xen_cim.main(["validate", f"http://127.0.0.1:{unused_tcp_port}", "--user", "admin"]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_a_wrong_password_has_another_exit_code(small_bridge, capsys, monkeypatch):
    monkeypatch.setenv("XEN_CIM_PASSWORD", "wrong")
    assert xen_cim.main(["validate", small_bridge.url("cim-http"), "--user", small_bridge.user]) == 2
    assert "does not answer" in capsys.readouterr().err
