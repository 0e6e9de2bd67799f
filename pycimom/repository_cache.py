"""Opens the class repository: compiled once, then read from a cache of resolved CIM-XML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pywbem
import structlog

from netserve.files import write_atomically
from pycimom.mof_compiler import CompiledClasses, Progress, class_source, compile_classes, qualifier_xml
from pycimom.mof_source import SchemaArchive, read_mof
from pycimom.profiles import PROFILE_CLASSES
from pycimom.repository import Repository
from pycimom.repository_cimxml import ClassSource
from pycimom.repository_library import SchemaLibrary

MODEL_NAMESPACE = "root/cimv2"
INTEROP_NAMESPACE = "root/interop"

MODEL_CLASSES = (
    *PROFILE_CLASSES,
    "CIM_AlertIndication",
    "CIM_InstCreation",
    "CIM_InstDeletion",
    "CIM_InstModification",
)

INTEROP_CLASSES = (
    *PROFILE_CLASSES,
    "CIM_CIMOMStatisticalData",
    "CIM_CIMXMLCommunicationMechanism",
    "CIM_CommMechanismForManager",
    "CIM_ComputerSystem",
    "CIM_ElementCapabilities",
    "CIM_ElementStatisticalData",
    "CIM_FilterCollection",
    "CIM_FilterCollectionSubscription",
    "CIM_HostedService",
    "CIM_IndicationFilter",
    "CIM_IndicationHandlerCIMXML",
    "CIM_IndicationService",
    "CIM_IndicationServiceCapabilities",
    "CIM_IndicationSubscription",
    "CIM_ListenerDestinationCIMXML",
    "CIM_MemberOfCollection",
    "CIM_Namespace",
    "CIM_NamespaceInManager",
    "CIM_ObjectManager",
    "CIM_OwningCollectionElement",
    "CIM_ServiceAffectsElement",
    "CIM_ServiceAvailableToElement",
    "CIM_WBEMServer",
    "CIM_WBEMServerNamespace",
)

_FORMAT = 3
_KEPT_FILES = 4
_log = structlog.get_logger(__name__)


def open_repository(
    schema: Path, mof: Sequence[Path], cache: Path, progress: Progress | None = None, *, whole_schema: bool = False
) -> Repository:
    """Return the classes that the model and the server need, compiling them if the cache does not have them.

    ``schema`` is the zip file of the DMTF schema, ``mof`` the model's own files, whose classes go to root/cimv2;
    ``whole_schema`` adds every other class of the schema there. ``cache`` is a folder that is made if needed. The
    cache is keyed by the content of all inputs; classes of the schema that it does not have are compiled when they are
    first asked for; a damaged file in it is compiled anew. Raises MofError with file and
    line, or OSError if the cache folder cannot be made; a cache that cannot be written costs only time.
    """
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    roots = {MODEL_NAMESPACE: MODEL_CLASSES, INTEROP_NAMESPACE: INTEROP_CLASSES}
    path = cache / f"classes-{_key(schema, mof, roots, whole_schema)}"
    ready = _read(path)
    if ready is None:
        ready = _compile(schema, mof, roots, whole_schema, progress)
        try:
            write_atomically(path, _header(ready) + ready)
            _prune(cache)
        except OSError as error:
            _log.warning("class cache not written", file=str(path), error=str(error))
    return _load(ready, schema)


def _key(schema: Path, mof: Sequence[Path], roots: Mapping[str, Sequence[str]], whole_schema: bool) -> str:
    digest = hashlib.sha256(repr((_FORMAT, pywbem.__version__, sorted(roots.items()), whole_schema)).encode())
    for path in (schema, *mof):
        try:
            digest.update(f"\n{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
        except OSError:
            digest.update(f"\n{path.name} unreadable\n".encode())  # the compiler tells what is wrong
    return digest.hexdigest()[:32]


def _compile(
    schema: Path,
    mof: Sequence[Path],
    roots: Mapping[str, Sequence[str]],
    whole_schema: bool,
    progress: Progress | None,
) -> bytes:
    archive = SchemaArchive(schema)
    texts = [read_mof(path) for path in mof]
    own = [each.name for text in texts for each in text.declarations]
    model = [*own, *roots[MODEL_NAMESPACE], *(archive.class_names() if whole_schema else ())]
    compiled = compile_classes(archive, texts, [*model, *roots[INTEROP_NAMESPACE]], progress)
    members = {
        MODEL_NAMESPACE: _names(compiled, model),
        INTEROP_NAMESPACE: _names(compiled, [*roots[INTEROP_NAMESPACE], *_profiles(compiled, own)]),
    }
    qualifiers = {each.name: qualifier_xml(each) for each in compiled.qualifiers}
    sources = [class_source(each) for each in compiled.classes.values()]
    index = {
        "qualifiers": [[name, len(xml)] for name, xml in qualifiers.items()],
        "classes": [[each.name, each.superclass, each.ends, len(each.xml)] for each in sources],
        "namespaces": members,
        "schema": list(archive.class_names()),
    }
    return b"".join([json.dumps(index).encode(), b"\n", *qualifiers.values(), *(each.xml for each in sources)])


def _names(compiled: CompiledClasses, roots: Iterable[str]) -> list[str]:
    return [each.classname for each in compiled.reached_from(roots)]


def _profiles(compiled: CompiledClasses, names: Iterable[str]) -> list[str]:
    """Return those classes that describe profiles, which the interop namespace has too."""
    wanted = {each.lower() for each in PROFILE_CLASSES}

    def is_profile(name: str) -> bool:
        superclass = compiled.classes[name.lower()].superclass
        return name.lower() in wanted or (superclass is not None and is_profile(superclass))

    return [name for name in names if is_profile(name)]


def _load(ready: bytes, schema: Path) -> Repository:
    first, _, content = ready.partition(b"\n")
    index = json.loads(first)
    position = 0

    def take(length: int) -> bytes:
        nonlocal position
        position += length
        return content[position - length : position]

    qualifiers = {name: take(length) for name, length in index["qualifiers"]}
    classes = [
        ClassSource(name, superclass, tuple(ends), take(length)) for name, superclass, ends, length in index["classes"]
    ]
    library = SchemaLibrary(schema, index["schema"], (MODEL_NAMESPACE,))
    return Repository(classes, qualifiers, index["namespaces"], library)


def _header(content: bytes) -> bytes:
    return f"xen-cim class repository {_FORMAT} {hashlib.sha256(content).hexdigest()}\n".encode()


def _read(path: Path) -> bytes | None:
    """Return the content of a cache file, or None if there is none or it is damaged."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("class cache not readable", file=str(path), error=str(error))
        return None
    header, _, content = stored.partition(b"\n")
    if header + b"\n" != _header(content):
        _log.warning("class cache damaged, compiling anew", file=str(path))
        return None
    return content


def _prune(cache: Path) -> None:
    """Remove all but the newest files of the cache."""
    files = sorted(cache.glob("classes-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT_FILES:]:
        path.unlink(missing_ok=True)
