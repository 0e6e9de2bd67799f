"""MOF, declarations and the DMTF schema agree, by pywbem's own MOF compiler."""

from __future__ import annotations

import os
import re
import zipfile
from importlib import resources
from pathlib import Path

import pytest
from pywbem import CIMClass
from pywbem_mock import FakedWBEMConnection

from cim_provider import ClassDeclaration
from xen_providers.alerts import ALERT
from xen_providers.capabilities import METHODS
from xen_providers.indications import INDICATIONS
from xen_providers.provider import CLASSES

MOF = Path(str(resources.files("xen_providers.mof")))
ARCHIVE = "cim_schema_2.49.0Final-MOFs.zip"
DECLARATIONS: list[ClassDeclaration] = [
    *(each.declaration for each in CLASSES),
    *(each.declaration for each in INDICATIONS),
    ALERT,
]


def archive() -> Path:
    named = os.environ.get("XEN_CIM_SCHEMA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = Path(named) if named else cache / "xen-cim" / ARCHIVE
    if not found.is_file():
        pytest.skip(f"the DMTF schema is not at {found} (get it with `xen-cim schema`)")
    return found


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> FakedWBEMConnection:
    """What has the classes of the MOF, and those of the DMTF schema that these need."""
    folder = tmp_path_factory.mktemp("schema")
    with zipfile.ZipFile(archive()) as file:
        file.extractall(folder)
    (main,) = folder.glob("cim_schema_*.mof")
    connection = FakedWBEMConnection(default_namespace="root/cimv2")
    texts = [file.read_text() for file in MOF.glob("*.mof")]
    own = {name for text in texts for name in re.findall(r"^class (CIM_\w+)", text, re.MULTILINE)}
    bases = {name for text in texts for name in re.findall(r"\b(CIM_\w+)", text)} - own
    connection.compile_schema_classes(sorted(bases), str(main))
    connection.compile_mof_file(str(MOF / "Xen.mof"), search_paths=[str(MOF)])
    return connection


@pytest.fixture(scope="module")
def classes(repository) -> dict[str, CIMClass]:
    """The declared classes with all that they inherit."""
    names = [
        each.classname
        for each in repository.EnumerateClasses(DeepInheritance=True)
        if each.classname.startswith("Xen_")
    ]
    options = {"LocalOnly": False, "IncludeQualifiers": True, "IncludeClassOrigin": True}
    return {name: repository.GetClass(name, **options) for name in names}


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda each: each.name)
def test_declaration_and_mof_say_the_same(classes, declared):
    cls = classes[declared.name]
    assert cls.superclass == declared.superclass
    assert ("Association" in cls.qualifiers) == declared.is_association
    assert ("Indication" in cls.qualifiers) == declared.is_indication
    for name, each in declared.properties.items():
        assert name in cls.properties, f"{name} is not in the MOF"
        found = cls.properties[name]
        assert found.name == name
        assert (found.type, bool(found.is_array)) == (each.type, each.array), name
        assert found.reference_class == each.reference
        if each.embedded:
            assert "EmbeddedObject" in found.qualifiers or "EmbeddedInstance" in found.qualifiers
    assert {name for name, each in cls.properties.items() if "Key" in each.qualifiers} == set(declared.keys)
    for name, method in declared.methods.items():
        found = cls.methods[name]
        assert found.return_type == method.returns
        assert {parameter: each.type for parameter, each in found.parameters.items()} == {
            parameter: each.type for parameter, each in method.parameters.items()
        }


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda each: each.name)
def test_required_properties_are_filled(classes, declared):
    required = {name for name, each in classes[declared.name].properties.items() if "Required" in each.qualifiers}
    assert required <= set(declared.properties)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("Xen_VirtualSystemManagementCapabilities", "SynchronousMethodsSupported"),
        ("Xen_VirtualSystemManagementCapabilities", "AsynchronousMethodsSupported"),
        ("Xen_VirtualSystemSnapshotServiceCapabilities", "SynchronousMethodsSupported"),
        ("Xen_StoragePoolManagementCapabilities", "SynchronousMethodsSupported"),
        ("Xen_MetricsServiceCapabilities", "SupportedMethods"),
    ],
)
def test_methods_have_the_numbers_of_the_schema(classes, class_name, name):
    qualifiers = classes[class_name].properties[name].qualifiers
    words = [re.sub(r" ?(is s|S)upported$", "", each) for each in qualifiers["Values"].value]
    methods = [re.sub("^(Add|Remove)Resources$", r"\1ResourceSettings", each) for each in words]
    numbered = dict(zip(methods, qualifiers["ValueMap"].value, strict=True))
    known = METHODS.keys() & numbered
    assert known
    assert {method: str(METHODS[method]) for method in known} == {method: numbered[method] for method in known}


def test_every_class_of_the_mof_is_served_or_has_served_children(classes):
    served = {each.name for each in DECLARATIONS}
    parents = {cls.superclass for cls in classes.values()} | {
        classes[cls.superclass].superclass for cls in classes.values() if cls.superclass in classes
    }
    assert set(classes) - served <= parents


def test_every_file_is_included_once_and_everything_is_described(classes):
    included = re.findall(r'#pragma include \("(.*)"\)', (MOF / "Xen.mof").read_text())
    assert sorted(included) == sorted(each.name for each in MOF.glob("*.mof") if each.name != "Xen.mof")
    for cls in classes.values():
        own = [each for each in (*cls.properties.values(), *cls.methods.values()) if each.class_origin == cls.classname]
        for each in (cls, *own):
            assert "Description" in each.qualifiers, (cls.classname, getattr(each, "name", ""))


def test_indications_are_about_all_classes_of_their_kind(repository):
    """A class that comes later is told of, if its ancestors are what others are told of."""

    def ancestors(name: str) -> set[str]:
        found = {name}
        while name := repository.GetClass(name).superclass:
            found.add(name)
        return found

    kinds = {each.common for each in INDICATIONS}
    told = {
        each.name: {kind.common for kind in INDICATIONS if kind.is_about(each)} for each in CLASSES if not each.ends
    }
    assert told == {name: ancestors(name) & kinds for name in told}
