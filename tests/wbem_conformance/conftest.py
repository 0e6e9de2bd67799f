"""A CIM server with what foreign conformance tests expect to find."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import pywbem

from pycimom.indications.destinations import DestinationPolicy
from pycimom.repository import Repository
from pycimom.repository_cache import open_repository
from pycimom.server import Registration
from valid_answers import validated_answers
from wbem_server import PASSWORD, USER, WbemServer
from wbem_test_provider import NAMESPACE, WbemTestProvider, add_classes
from xen_tools.errors import CommandError
from xen_tools.schema import model_files, obtain
from xen_tools.settings import cache_folder, schema_file


def own_addresses() -> tuple[str, ...]:
    """The address under which others would reach this machine, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 80))  # sends nothing
        except OSError:
            return ()
        return (probe.getsockname()[0],)


@pytest.fixture(autouse=True)
def valid_answers() -> Iterator[None]:
    """Hold every answer of every server that a test starts against the DTD."""
    with validated_answers() as answers:
        yield
    assert answers is None or answers.problems == []


@pytest.fixture(scope="session")
def class_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the classes are kept compiled."""
    return tmp_path_factory.mktemp("classes")


@pytest.fixture
def repository(class_cache: Path) -> Repository:
    """The classes that the bridge serves, and those of the test provider."""
    try:
        archive = obtain(cache_folder(os.environ), schema_file(os.environ))
    except CommandError as error:
        pytest.skip(str(error))
    repository = open_repository(archive, model_files(), class_cache)
    add_classes(repository)
    return repository


@pytest.fixture
def server(repository: Repository, tmp_path: Path, valid_answers: None) -> Iterator[WbemServer]:
    """A running server with one computer system that clients made, and the test provider."""
    running = WbemServer(
        repository,
        [Registration(WbemTestProvider(repository), (NAMESPACE,))],
        host=socket.gethostname(),
        state=tmp_path / "state",
        destinations=DestinationPolicy(own_addresses()),
    )
    system = {"CreationClassName": "CIM_ComputerSystem", "Name": "example", "ElementName": "A system"}
    with pywbem.WBEMConnection(running.url, (USER, PASSWORD), "root/cimv2") as client:
        client.CreateInstance(pywbem.CIMInstance("CIM_ComputerSystem", system))
    yield running
    running.stop()
