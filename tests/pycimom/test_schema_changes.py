"""Classes, qualifiers and namespaces that are created, changed and deleted while the server runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from cim_provider import CimError, Status
from pycimom.instance_store import InstanceStore, StoreError, lock_folder
from pycimom.repository import Repository
from pycimom.repository_cache import open_repository

SPACE = "root/cimv2"
OWN = "test/own"


def cim_class(name: str, superclass: str | None = None, content: str = "") -> etree._Element:
    above = f' SUPERCLASS="{superclass}"' if superclass else ""
    return etree.fromstring(f'<CLASS NAME="{name}"{above}>{content}</CLASS>')


def property_(name: str, cim_type: str = "string", content: str = "") -> str:
    return f'<PROPERTY NAME="{name}" TYPE="{cim_type}">{content}</PROPERTY>'


def qualifier(name: str, value: str = "TRUE", cim_type: str = "boolean") -> str:
    return f'<QUALIFIER NAME="{name}" TYPE="{cim_type}"><VALUE>{value}</VALUE></QUALIFIER>'


def reference(name: str, to: str) -> str:
    return f'<PROPERTY.REFERENCE NAME="{name}" REFERENCECLASS="{to}">{qualifier("Key")}</PROPERTY.REFERENCE>'


def canonical(xml: bytes) -> str:
    return etree.canonicalize(xml.decode())


@pytest.fixture(scope="session")
def cache(schema_archive: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared-cache")
    open_repository(schema_archive, [model], folder)
    return folder


@pytest.fixture
def own(schema_archive: Path, model: Path, cache: Path) -> Repository:
    """A repository to be changed, with a namespace that has the qualifiers of the schema and no classes."""
    return prepared(open_repository(schema_archive, [model], cache))


def prepared(repository: Repository) -> Repository:
    repository.create_namespace(OWN)
    for each in etree.fromstring(b"<X>" + repository.qualifier_xml(SPACE) + b"</X>"):
        repository.set_qualifier(OWN, each)
    return repository


@pytest.fixture
def store(own: Repository, tmp_path: Path) -> Iterator[InstanceStore]:
    made = InstanceStore(tmp_path / "state.sqlite")
    own.keep(made)
    yield made
    made.close()


def refused(status: Status):
    return pytest.raises(CimError, match=f"^{status.name}: ")


class TestResolution:
    def test_created_classes_are_resolved_like_compiled_ones(self, own: Repository):
        """Create every compiled class anew from what it declares itself, and compare what it inherits."""
        names = own.subclasses(SPACE, None)
        with own.change(OWN) as draft:
            draft.announce(names)
            for name in names:
                draft.create_class(etree.fromstring(own.class_xml(SPACE, name, True, True, True)))
        assert own.subclasses(OWN, None) == names
        for name in names:
            assert own.get(OWN, name) == own.get(SPACE, name)
            assert sorted(own.associations_of(OWN, name)) == sorted(own.associations_of(SPACE, name))
            assert self.spelled(own, OWN, name) == self.spelled(own, SPACE, name)

    @staticmethod
    def spelled(repository: Repository, namespace: str, name: str) -> str:
        """The schema spells some qualifiers as they are not declared; created classes have the declared spelling."""
        element = etree.fromstring(repository.class_xml(namespace, name, False, True, True))
        for each in element.iter("QUALIFIER"):
            each.set("NAME", each.get("NAME").lower())
        return etree.canonicalize(etree.tostring(element, encoding="unicode"))

    def test_what_a_subclass_inherits_and_overrides(self, own: Repository):
        own.create_class(OWN, cim_class("T_A", None, qualifier("Abstract") + property_("Id", content=qualifier("Key"))))
        own.create_class(
            OWN,
            cim_class("T_B", "t_a", property_("id", content=qualifier("Description", "An id.", "string"))),
        )
        below = own.get(OWN, "T_B")
        assert (below.superclass, below.is_abstract) == ("T_A", False)  # Abstract is restricted to its class
        assert [(each.name, each.key, each.origin) for each in below.properties.values()] == [("id", True, "T_A")]

    @pytest.mark.parametrize(
        ("declared", "status"),
        [
            (cim_class("T_A"), Status.ALREADY_EXISTS),
            (cim_class("t_a"), Status.ALREADY_EXISTS),
            (cim_class("T_B", "T_Nothing"), Status.INVALID_SUPERCLASS),
            (cim_class("1_B"), Status.INVALID_PARAMETER),
            (cim_class("T_B", "T_A", property_("Id", "uint8")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, property_("Id", "nonsense")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, property_("Id", "uint8", "<VALUE>256</VALUE>")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, property_("Id") + property_("ID")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, qualifier("Undeclared")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, qualifier("Abstract", "x", "string")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, qualifier("Key")), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, qualifier("Abstract") * 2), Status.INVALID_PARAMETER),
            (
                cim_class("T_B", None, qualifier("Association") + reference("End", "T_Nothing")),
                Status.INVALID_PARAMETER,
            ),
            (
                cim_class("T_B", "T_A", property_("Id", content=qualifier("Key", "FALSE"))),
                Status.INVALID_PARAMETER,
            ),
            (cim_class("T_B", None, "<METHOD/>"), Status.INVALID_PARAMETER),
            (cim_class("T_B", None, "<INSTANCE/>"), Status.INVALID_PARAMETER),
        ],
    )
    def test_what_cannot_be_created(self, own: Repository, declared: etree._Element, status: Status):
        own.create_class(OWN, cim_class("T_A", None, property_("Id", content=qualifier("Key"))))
        with refused(status):
            own.create_class(OWN, declared)
        assert own.subclasses(OWN, None) == ["T_A"]


class TestChanges:
    def test_associations_are_indexed_at_once(self, own: Repository):
        own.create_class(OWN, cim_class("T_A"))
        own.create_class(OWN, cim_class("T_B", "T_A"))
        assert own.associations_of(OWN, "T_B") == ()
        own.create_class(
            OWN, cim_class("T_Link", None, qualifier("Association") + reference("One", "T_A") + reference("Two", "T_B"))
        )
        assert own.associations_of(OWN, "T_A") == own.associations_of(OWN, "T_B") == ("T_Link",)
        own.delete_class(OWN, "T_Link")
        assert own.associations_of(OWN, "T_A") == own.associations_of(OWN, "T_B") == ()

    def test_modifying_a_class_reaches_its_subclasses(self, own: Repository):
        for declared in (cim_class("T_A"), cim_class("T_B", "T_A"), cim_class("T_C", "T_B", property_("Mine"))):
            own.create_class(OWN, declared)
        own.modify_class(OWN, cim_class("t_a", None, property_("New", "uint8")))
        assert list(own.get(OWN, "T_C").properties) == ["New", "Mine"]
        assert own.subclasses(OWN, None) == ["T_A", "T_B", "T_C"]
        with refused(Status.CLASS_HAS_CHILDREN):
            own.modify_class(OWN, cim_class("T_A", None, property_("Mine", "uint8")))
        with refused(Status.INVALID_SUPERCLASS):
            own.modify_class(OWN, cim_class("T_B", "T_C"))
        with refused(Status.NOT_FOUND):
            own.modify_class(OWN, cim_class("T_Nothing"))
        assert list(own.get(OWN, "T_C").properties) == ["New", "Mine"]

    def test_deleting_classes(self, own: Repository):
        own.create_class(OWN, cim_class("T_A"))
        own.create_class(OWN, cim_class("T_B", "T_A"))
        with refused(Status.CLASS_HAS_CHILDREN):
            own.delete_class(OWN, "T_A")
        own.guard(lambda namespace, name: (namespace, name) == (OWN, "T_B"))
        for change in (
            lambda: own.delete_class(OWN, "t_b"),
            lambda: own.modify_class(OWN, cim_class("T_B", "T_A", property_("X"))),
        ):
            with refused(Status.CLASS_HAS_INSTANCES):
                change()
        own.guard(lambda namespace, name: False)
        own.delete_class(OWN, "t_b")
        own.delete_class(OWN, "T_A")
        with refused(Status.NOT_FOUND):
            own.delete_class(OWN, "T_A")
        with refused(Status.INVALID_NAMESPACE):
            own.delete_class("test/nowhere", "T_A")

    def test_a_batch_counts_as_a_whole_or_not_at_all(self, own: Repository):
        with refused(Status.INVALID_SUPERCLASS), own.change(OWN) as draft:
            draft.create_class(cim_class("T_A"))
            draft.delete_qualifier("Key")
            draft.create_class(cim_class("T_B", "T_Nothing"))
        assert own.subclasses(OWN, None) == []
        assert own.qualifier_xml(OWN, "Key")

    def test_qualifiers(self, own: Repository):
        declared = etree.fromstring(
            '<QUALIFIER.DECLARATION NAME="Colour" TYPE="string" TOSUBCLASS="false"><SCOPE CLASS="true"/>'
            "</QUALIFIER.DECLARATION>"
        )
        own.set_qualifier(OWN, declared)
        own.create_class(OWN, cim_class("T_A", None, qualifier("colour", "red", "string")))
        own.create_class(OWN, cim_class("T_B", "T_A"))
        assert b"Colour" in own.class_xml(OWN, "T_A")
        assert b"Colour" not in own.class_xml(OWN, "T_B")
        with refused(Status.FAILED):
            own.delete_qualifier(OWN, "COLOUR")
        own.delete_class(OWN, "T_B")
        own.delete_class(OWN, "T_A")
        own.delete_qualifier(OWN, "COLOUR")
        with refused(Status.NOT_FOUND):
            own.delete_qualifier(OWN, "Colour")
        with refused(Status.NOT_FOUND):
            own.qualifier_xml(OWN, "Colour")

    def test_namespaces(self, own: Repository):
        assert own.create_namespace("/Test/Two/") == "Test/Two"
        assert own.namespaces()[-1] == "Test/Two"
        for name, status in (
            ("test/TWO", Status.ALREADY_EXISTS),
            ("", Status.INVALID_PARAMETER),
            ("a//b", Status.INVALID_PARAMETER),
            ("a b", Status.INVALID_PARAMETER),
        ):
            with refused(status):
                own.create_namespace(name)
        own.delete_namespace("test/two")
        for name, status in (
            ("test/two", Status.INVALID_NAMESPACE),
            (OWN, Status.NAMESPACE_NOT_EMPTY),
            (SPACE, Status.NAMESPACE_NOT_EMPTY),
        ):
            with refused(status):
                own.delete_namespace(name)


class TestKept:
    @pytest.fixture
    def restarted(self, schema_archive: Path, model: Path, cache: Path, tmp_path: Path):
        def restart() -> Repository:
            repository = open_repository(schema_archive, [model], cache)
            InstanceStore(tmp_path / "state.sqlite").restore(repository)
            return repository

        return restart

    def test_changes_are_there_after_a_restart(self, own: Repository, store: InstanceStore, restarted):
        own.create_namespace("test/empty")
        own.create_namespace("test/gone")
        own.delete_namespace("test/gone")
        own.create_class(SPACE, cim_class("T_A", "Test_System", property_("New")))
        own.create_class(SPACE, cim_class("T_B", "T_A"))
        own.create_class(SPACE, cim_class("T_Gone"))
        own.delete_class(SPACE, "T_Gone")
        own.modify_class(SPACE, cim_class("T_A", "Test_System", property_("Newer")))
        own.delete_class(SPACE, "Test_SystemComponent")
        own.set_qualifier(SPACE, etree.fromstring('<QUALIFIER.DECLARATION NAME="Colour" TYPE="string"/>'))
        own.delete_qualifier(SPACE, "Colour")
        again = restarted()
        assert "test/empty" in again.namespaces()
        assert "test/gone" not in again.namespaces()
        assert sorted(again.subclasses(SPACE, None)) == sorted(own.subclasses(SPACE, None))
        assert again.get(SPACE, "T_B") == own.get(SPACE, "T_B")
        assert "Newer" in again.get(SPACE, "T_B").properties
        assert again.class_xml(SPACE, "T_B") == own.class_xml(SPACE, "T_B")
        for name in ("T_Gone", "Test_SystemComponent"):
            with refused(Status.INVALID_CLASS):
                again.get(SPACE, name)
        with refused(Status.NOT_FOUND):
            again.qualifier_xml(SPACE, "Colour")

    def test_classes_that_lost_their_superclass_are_left_out(
        self, own: Repository, store: InstanceStore, schema_archive: Path, tmp_path: Path
    ):
        own.create_class(SPACE, cim_class("T_A", "Test_System"))
        own.create_class(SPACE, cim_class("T_B", "CIM_USBPort"))  # has to be compiled first
        without_model = open_repository(schema_archive, [], tmp_path / "cache")
        InstanceStore(tmp_path / "state.sqlite").restore(without_model)
        with refused(Status.INVALID_CLASS):
            without_model.get(SPACE, "T_A")
        assert without_model.get(SPACE, "T_B").superclass == "CIM_USBPort"

    def test_a_folder_belongs_to_one_server(self, tmp_path: Path):
        lock_folder(tmp_path)
        with pytest.raises(StoreError, match="in use by a server"):
            lock_folder(tmp_path)


class TestLibrary:
    def test_any_class_of_the_schema_is_compiled_when_it_is_asked_for(self, own: Repository):
        assert own.is_pending(SPACE, "cim_usbport")
        own.ensure(SPACE, "cim_usbport")
        assert not own.is_pending(SPACE, "CIM_USBPort")
        assert own.get(SPACE, "CIM_USBPort").ancestors[-1] == "CIM_ManagedElement"
        own.ensure(SPACE, "CIM_USBConnection")
        assert "CIM_USBConnection" in own.associations_of(SPACE, "CIM_USBDevice")
        assert not own.is_pending(SPACE, "CIM_Nonsense")
        assert not own.is_pending(OWN, "CIM_USBPort")
        own.delete_class(SPACE, "CIM_USBConnection")
        assert not own.is_pending(SPACE, "CIM_USBConnection")

    def test_it_is_as_if_compiled_beforehand(self, own: Repository, schema_archive: Path, tmp_path: Path):
        mof = tmp_path / "reaching.mof"
        mof.write_text("class T_Port : CIM_USBPort { };")
        beforehand = open_repository(schema_archive, [mof], tmp_path / "cache")
        own.ensure(SPACE, "CIM_USBPort")
        assert canonical(own.class_xml(SPACE, "CIM_USBPort")) == canonical(beforehand.class_xml(SPACE, "CIM_USBPort"))

    def test_an_archive_that_is_gone_is_told(self, schema_archive: Path, model: Path, cache: Path, tmp_path: Path):
        copy = tmp_path / schema_archive.name
        shutil.copy(schema_archive, copy)
        repository = open_repository(copy, [model], cache)
        copy.unlink()
        with pytest.raises(CimError, match=rf"^FAILED: The class CIM_USBPort has to be compiled first.*{copy.name}"):
            repository.ensure(SPACE, "CIM_USBPort")
        assert repository.get(SPACE, "Test_System")
