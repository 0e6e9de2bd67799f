"""The declared API, to be compared with what the wire tells."""

from __future__ import annotations

import pytest

from xenapi_core.datamodel import Datamodel


@pytest.fixture(scope="session")
def datamodel() -> Datamodel:
    """All classes of the API."""
    return Datamodel.load()
