"""A CIM server with what foreign conformance tests expect to find."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from wbem_server import WbemServer
from wbem_test_provider import NAMESPACE, WbemTestProvider, add_classes

from pycimom.indications.destinations import DestinationPolicy
from pycimom.repository import Repository
from pycimom.repository_cache import open_repository
from pycimom.server import Registration
from xen_tools.errors import CommandError
from xen_tools.schema import model_files, obtain
from xen_tools.settings import cache_folder, schema_file


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The classes that the bridge serves, and those of the test provider."""
    try:
        archive = obtain(cache_folder(os.environ), schema_file(os.environ))
    except CommandError as error:
        pytest.skip(str(error))
    repository = open_repository(archive, model_files(), tmp_path_factory.mktemp("classes"))
    add_classes(repository)
    return repository


@pytest.fixture
def server(repository: Repository, tmp_path: Path) -> Iterator[WbemServer]:
    """A running server."""
    provider = Registration(WbemTestProvider(repository), (NAMESPACE,))
    running = WbemServer(
        repository,
        [provider],
        host=socket.gethostname(),
        state=tmp_path / "state",
        destinations=DestinationPolicy(("*",)),
    )
    yield running
    running.stop()
