"""The class repository: compiling, inheritance, indexes, CIM-XML and the cache."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest
import pywbem
from lxml import etree

from cim_provider import CimError, Status
from pycimom.mof_compiler import Compilation
from pycimom.mof_source import MofError, MofText
from pycimom.repository import Repository
from pycimom.repository_cache import open_repository

MODEL_NAMESPACE = "root/cimv2"


def status(error: pytest.ExceptionInfo[CimError]) -> Status:
    return error.value.status


def as_pywbem(xml: bytes) -> pywbem.CIMClass:
    """Read a CLASS element with a parser that nobody here wrote."""
    from pywbem._tupleparse import TupleParser
    from pywbem._tupletree import xml_to_tupletree_sax

    return TupleParser("test").parse_class(xml_to_tupletree_sax(xml, "class"))


class TestClasses:
    def test_a_class_carries_all_that_it_inherits(self, repository: Repository):
        found = repository.get("Root/CimV2", "test_subsystem")
        assert found.name == "Test_SubSystem"
        assert found.ancestors[:3] == ("Test_System", "CIM_ComputerSystem", "CIM_System")
        assert found.ancestors[-1] == "CIM_ManagedElement"
        assert [each.name for each in found.keys] == ["Name", "CreationClassName"]
        names = list(found.properties)
        assert names.index("Caption") < names.index("Dedicated") < names.index("Weight") < names.index("Is_Small")
        assert "RequestStateChange" in found.methods

    def test_types_are_told(self, repository: Repository):
        found = repository.get(MODEL_NAMESPACE, "Test_System")
        assert found.properties["Weight"].default == 7
        assert (found.properties["Modes"].type, found.properties["Modes"].array) == ("uint16", True)
        assert found.properties["Settings"].embedded == "CIM_SettingData"
        assert found.find_property("elementNAME").origin == "CIM_ManagedElement"
        reset = found.find_method("RESET")
        assert reset.returns == "uint32"
        assert reset.parameters["Kind"].is_input
        assert not reset.parameters["Kind"].is_output
        job = reset.find_parameter("job")
        assert (job.type, job.reference, job.is_input, job.is_output) == ("reference", "CIM_ConcreteJob", False, True)

    def test_kinds_are_told(self, repository: Repository):
        association = repository.get(MODEL_NAMESPACE, "Test_SystemComponent")
        assert association.is_association
        assert [each.reference for each in association.references] == ["Test_System", "CIM_ManagedElement"]
        indication = repository.get(MODEL_NAMESPACE, "Test_SystemModification")
        assert indication.is_indication
        assert indication.properties["SourceInstance"].embedded == "object"
        assert repository.get(MODEL_NAMESPACE, "CIM_ManagedElement").is_abstract
        assert not repository.get(MODEL_NAMESPACE, "Test_System").is_abstract

    def test_unknown_names(self, repository: Repository):
        with pytest.raises(CimError) as error:
            repository.get("root/nowhere", "Test_System")
        assert status(error) is Status.INVALID_NAMESPACE
        with pytest.raises(CimError) as error:
            repository.get(MODEL_NAMESPACE, "Test_Nothing")
        assert status(error) is Status.INVALID_CLASS
        with pytest.raises(CimError) as error:
            repository.qualifier_xml(MODEL_NAMESPACE, "Nothing")
        assert status(error) is Status.NOT_FOUND

    def test_what_each_namespace_has(self, repository: Repository):
        assert repository.namespaces() == ["root/cimv2", "root/interop"]
        for name in ("CIM_ObjectManager", "CIM_IndicationSubscription", "CIM_RegisteredProfile"):
            assert repository.get("root/interop", name).name == name
        assert repository.get("root/cimv2", "CIM_RegisteredProfile")
        with pytest.raises(CimError):
            repository.get("root/interop", "Test_System")


class TestIndexes:
    def test_subclasses(self, repository: Repository):
        assert repository.subclasses(MODEL_NAMESPACE, "cim_computersystem", deep=False) == ["Test_System"]
        assert repository.subclasses(MODEL_NAMESPACE, "CIM_ComputerSystem") == ["Test_System", "Test_SubSystem"]
        top = repository.subclasses(MODEL_NAMESPACE, None, deep=False)
        everything = repository.subclasses(MODEL_NAMESPACE, None)
        assert "CIM_ManagedElement" in top
        assert "CIM_ComputerSystem" not in top
        assert len(everything) == len(set(everything))
        for name in everything:
            above = repository.get(MODEL_NAMESPACE, name).superclass
            assert above is None or everything.index(above) < everything.index(name)

    def test_is_subclass(self, repository: Repository):
        assert repository.is_subclass(MODEL_NAMESPACE, "Test_SubSystem", "cim_managedelement")
        assert repository.is_subclass(MODEL_NAMESPACE, "Test_System", "test_system")
        assert not repository.is_subclass(MODEL_NAMESPACE, "CIM_ComputerSystem", "Test_System")

    def test_associations_of_a_class_are_those_that_can_hold_it(self, repository: Repository):
        of_system = repository.associations_of(MODEL_NAMESPACE, "test_subsystem")
        assert "Test_SystemComponent" in of_system
        assert "CIM_ElementConformsToProfile" in of_system
        expected = [
            name
            for name in repository.subclasses(MODEL_NAMESPACE, None)
            if (found := repository.get(MODEL_NAMESPACE, name)).is_association
            and any(
                repository.is_subclass(MODEL_NAMESPACE, "Test_SubSystem", each.reference) for each in found.references
            )
        ]
        assert sorted(of_system) == sorted(expected)
        assert repository.associations_of(MODEL_NAMESPACE, "Test_SystemModification") == ()


class TestClassXml:
    def test_a_foreign_parser_reads_every_class(self, repository: Repository):
        for name in repository.subclasses(MODEL_NAMESPACE, None):
            known = repository.get(MODEL_NAMESPACE, name)
            read = as_pywbem(repository.class_xml(MODEL_NAMESPACE, name, include_class_origin=True))
            assert (read.classname, read.superclass) == (known.name, known.superclass)
            assert list(read.properties) == list(known.properties)
            assert list(read.methods) == list(known.methods)
            assert {name: each.class_origin for name, each in read.properties.items()} == {
                name: each.origin for name, each in known.properties.items()
            }

    def test_local_only_leaves_what_the_class_says_itself(self, repository: Repository):
        read = as_pywbem(repository.class_xml(MODEL_NAMESPACE, "Test_System", local_only=True))
        assert list(read.properties) == ["Weight", "Ratio", "Modes", "Since", "Settings"]
        assert list(read.methods) == ["Reset"]
        assert sorted(read.qualifiers) == ["Description", "Version"]

    def test_qualifiers_origins_and_properties_are_left_out_on_demand(self, repository: Repository):
        bare = etree.fromstring(
            repository.class_xml(
                MODEL_NAMESPACE, "Test_System", include_qualifiers=False, property_list=["weight", "NAME", "Nothing"]
            )
        )
        assert [each.get("NAME") for each in bare if each.tag.startswith("PROPERTY")] == ["Name", "Weight"]
        assert not list(bare.iter("QUALIFIER"))
        assert not bare.xpath("//@CLASSORIGIN")
        none = etree.fromstring(repository.class_xml(MODEL_NAMESPACE, "Test_System", property_list=[]))
        assert not [each for each in none if each.tag.startswith("PROPERTY")]
        assert none.findall("METHOD")

    def test_inheritance_of_qualifiers_follows_their_flavor(self, repository: Repository):
        read = as_pywbem(repository.class_xml(MODEL_NAMESPACE, "Test_SubSystem"))
        assert "Version" not in read.qualifiers
        assert read.qualifiers["Description"].propagated
        assert read.properties["Name"].qualifiers["Key"].value is True
        association = as_pywbem(repository.class_xml(MODEL_NAMESPACE, "Test_SystemComponent"))
        assert association.properties["GroupComponent"].qualifiers["Key"].propagated

    def test_the_common_form_is_made_once(self, repository: Repository):
        first = repository.class_xml(MODEL_NAMESPACE, "Test_System")
        assert repository.class_xml("root/CIMV2", "TEST_SYSTEM") is first

    def test_qualifier_declarations(self, repository: Repository):
        key = etree.fromstring(repository.qualifier_xml(MODEL_NAMESPACE, "KEY"))
        assert (key.get("NAME"), key.get("TYPE"), key.get("OVERRIDABLE")) == ("Key", "boolean", "false")
        everything = etree.fromstring(b"<all>" + repository.qualifier_xml("root/interop") + b"</all>")
        assert len(everything) > 50


class TestMofErrors:
    @pytest.mark.parametrize(
        ("mof", "line", "says"),
        [
            ("\n\nclass Test_A : Test_Nothing { };", 3, "superclass Test_Nothing"),
            ("class Test_A {\n [Key] string Id;\n strin Name;\n};", 3, ""),
            ("\nclass Test_A { [Nonsense] string Id; };", 2, "Nonsense"),
            ("class Test_B {};\nclass Test_A { CIM_Nothing REF To; };", 2, "CIM_Nothing"),
            ('\nclass Test_A { [EmbeddedInstance("CIM_Nothing")] string It; };', 2, "CIM_Nothing"),
            ("\nclass Test_A : CIM_ComputerSystem { uint32 Name; };", 2, "inherits string"),
            ("class Test_A : Test_B {};\nclass Test_B : Test_A {};", 2, "its own superclass"),
            ("class Test_A {};\n\nclass test_a {};", 3, "second time"),
            ('instance of CIM_ComputerSystem { Name = "x"; };', 1, ""),
        ],
    )
    def test_errors_name_the_file_and_the_line(
        self, schema_archive: Path, tmp_path: Path, mof: str, line: int, says: str
    ):
        bad = tmp_path / "bad.mof"
        bad.write_text(mof)
        with pytest.raises(MofError) as error:
            open_repository(schema_archive, [bad], tmp_path / "cache")
        assert (error.value.file, error.value.line) == (str(bad), line)
        assert says in error.value.message
        assert str(error.value).startswith(f"{bad}:{line}: ")
        assert not list((tmp_path / "cache").iterdir())

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_end_as_they_like(self, end: str):
        wrong = MofText("wrong.mof", end * 3 + "nonsense" + end + "class A {};")
        with pytest.raises(MofError, match=r"^wrong\.mof:4: "):
            Compilation().compile(wrong)

    def test_files_may_come_in_any_order(self, schema_archive: Path, tmp_path: Path):
        below, above = tmp_path / "below.mof", tmp_path / "above.mof"
        below.write_text("class Test_Below : Test_Above { Test_Other REF Other; };")
        above.write_text("class Test_Above : CIM_ManagedElement { };\nclass Test_Other { [Key] string Id; };")
        found = open_repository(schema_archive, [below, above], tmp_path / "cache").get(MODEL_NAMESPACE, "Test_Below")
        assert found.ancestors == ("Test_Above", "CIM_ManagedElement")

    @pytest.mark.parametrize("content", [None, b"no zip", "empty zip"])
    def test_an_archive_that_is_none(self, tmp_path: Path, content: bytes | str | None):
        path = tmp_path / "schema.zip"
        if content == "empty zip":
            zipfile.ZipFile(path, "w").close()
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(MofError, match=r"schema\.zip"):
            open_repository(path, [], tmp_path / "cache")

    def test_a_missing_file(self, schema_archive: Path, tmp_path: Path):
        with pytest.raises(MofError, match=r"nothing\.mof: the file cannot be read"):
            open_repository(schema_archive, [tmp_path / "nothing.mof"], tmp_path / "cache")


class TestCache:
    @pytest.fixture
    def cache(self, schema_archive: Path, model: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "cache"
        open_repository(schema_archive, [model], folder)
        return folder

    @staticmethod
    def file(folder: Path) -> Path:
        (found,) = folder.iterdir()
        return found

    def test_progress_is_told_and_only_when_something_is_compiled(
        self, schema_archive: Path, model: Path, tmp_path: Path
    ):
        steps: list[tuple[int, int, str]] = []
        open_repository(schema_archive, [model], tmp_path, lambda *step: steps.append(step))
        assert [step[0] for step in steps] == list(range(1, steps[0][1] + 1))
        assert steps[-1][2] == str(model)
        again: list[tuple[int, int, str]] = []
        open_repository(schema_archive, [model], tmp_path, lambda *step: again.append(step))
        assert again == []

    def test_reading_it_takes_a_fraction_of_compiling(self, schema_archive: Path, model: Path, tmp_path: Path):
        def opened() -> float:
            began = time.perf_counter()
            open_repository(schema_archive, [model], tmp_path)
            return time.perf_counter() - began

        compiled = opened()
        read = min(opened() for _ in range(3))
        assert read < compiled / 5

    def test_modes_are_private(self, cache: Path):
        assert cache.stat().st_mode & 0o777 == 0o700
        assert self.file(cache).stat().st_mode & 0o777 == 0o600

    def test_what_is_read_from_the_cache_equals_what_was_compiled(
        self, repository: Repository, schema_archive: Path, model: Path, cache: Path
    ):
        again = open_repository(schema_archive, [model], cache)
        for namespace in repository.namespaces():
            names = repository.subclasses(namespace, None)
            assert again.subclasses(namespace, None) == names
            for name in names:
                assert again.get(namespace, name) == repository.get(namespace, name)
                assert again.class_xml(namespace, name) == repository.class_xml(namespace, name)

    @pytest.mark.parametrize("damage", ["empty", "cut", "changed", "other"])
    def test_a_damaged_file_is_compiled_anew(self, schema_archive: Path, model: Path, cache: Path, damage: str):
        path = self.file(cache)
        whole = path.read_bytes()
        damaged = {
            "empty": b"",
            "cut": whole[: len(whole) // 2],
            "changed": whole.replace(b"Test_SubSystem", b"Test_SubSustem", 1),
            "other": b"\xff" * 1000,
        }
        path.write_bytes(damaged[damage])
        steps: list[int] = []
        found = open_repository(schema_archive, [model], cache, lambda done, *_: steps.append(done))
        assert steps
        assert found.get(MODEL_NAMESPACE, "Test_SubSystem")
        assert path.read_bytes() == whole

    def test_a_changed_input_is_compiled_anew(self, schema_archive: Path, model: Path, cache: Path, tmp_path: Path):
        changed = tmp_path / model.name
        changed.write_text(model.read_text().replace("Weight = 7", "Weight = 8"))
        found = open_repository(schema_archive, [changed], cache)
        assert found.get(MODEL_NAMESPACE, "Test_System").properties["Weight"].default == 8
        assert len(list(cache.iterdir())) == 2

    def test_old_files_go(self, schema_archive: Path, model: Path, cache: Path, tmp_path: Path):
        for number in range(6):
            other = tmp_path / f"{number}.mof"
            other.write_text(f"class Test_{number} {{ }};")
            open_repository(schema_archive, [other], cache)
        assert len(list(cache.iterdir())) == 4

    def test_a_folder_that_cannot_be_made(self, schema_archive: Path, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match="file"):
            open_repository(schema_archive, [], tmp_path / "file" / "cache")
