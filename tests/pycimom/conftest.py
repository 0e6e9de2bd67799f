"""A small model on top of the DMTF schema, compiled once for all tests of the CIM server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycimom.repository import Repository
from pycimom.repository_cache import open_repository
from valid_answers import validated_answers
from xen_tools.errors import CommandError
from xen_tools.schema import obtain
from xen_tools.settings import cache_folder, schema_file

MODEL = """
[Version("1.0"), Description("A system of the tests.")]
class Test_System : CIM_ComputerSystem {
    [Description("A number.")] uint32 Weight = 7;
    real64 Ratio;
    uint16 Modes[];
    datetime Since;
    [EmbeddedInstance("CIM_SettingData")] string Settings;
    uint32 Reset([In] uint16 Kind, [In(false), Out] CIM_ConcreteJob REF Job);
};
class Test_SubSystem : Test_System { boolean Is_Small; };
[Association] class Test_SystemComponent : CIM_SystemComponent {
    [Override("GroupComponent")] Test_System REF GroupComponent;
    [Override("PartComponent")] CIM_ManagedElement REF PartComponent;
};
[Indication] class Test_SystemCreation : CIM_InstCreation { };
[Indication] class Test_SystemModification : CIM_InstModification { };
"""


@pytest.fixture(scope="session")
def schema_archive() -> Path:
    """The zip file of the DMTF schema, as a first start of the bridge gets it."""
    try:
        return obtain(cache_folder(os.environ), schema_file(os.environ))
    except CommandError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MOF of the tests' model."""
    path = tmp_path_factory.mktemp("mof") / "test_model.mof"
    path.write_text(MODEL)
    return path


@pytest.fixture(scope="session")
def repository(schema_archive: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The class repository of the tests' model."""
    return open_repository(schema_archive, [model], tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def valid_answers() -> Iterator[None]:
    """Hold every answer of every server that a test starts against the DTD."""
    with validated_answers() as answers:
        yield
    assert answers is None or answers.problems == []
