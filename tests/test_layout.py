"""The architecture of DESIGN as a test: which package may import which, and no cycles anywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "cim_provider": ROOT / "providers" / "cim_provider",
    "netserve": ROOT / "netserve",
    "pycimom": ROOT / "pycimom",
    "xen_providers": ROOT / "providers" / "xen_providers",
    "xen_tools": ROOT / "xen_tools",
    "xenapi_client": ROOT / "xenapi_client",
    "xenapi_core": ROOT / "xenapi_core",
}

MAY_IMPORT = {
    "cim_provider": set(),
    "netserve": set(),
    "pycimom": {"cim_provider", "netserve"},
    "xen_providers": {"cim_provider", "xenapi_client"},
    "xen_tools": set(FOLDERS) - {"xen_tools"},
    "xenapi_client": set(),
    "xenapi_core": {"netserve"},
}


def module_name(file: Path, package: str) -> str:
    parts = file.relative_to(FOLDERS[package]).with_suffix("").parts
    return ".".join([package, *(part for part in parts if part != "__init__")])


MODULES = {
    module_name(file, package): file for package, folder in FOLDERS.items() for file in sorted(folder.rglob("*.py"))
}


def imports(file: Path) -> Iterator[str]:
    """Yield every module of the project that a file imports, also inside functions and for type checking alone."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative imports hide the arrows"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def project_imports(file: Path) -> set[str]:
    return {name for name in imports(file) if name.split(".")[0] in FOLDERS}


@pytest.mark.parametrize("package", sorted(FOLDERS))
def test_packages_import_only_along_the_arrows(package):
    wrong = [
        f"{name} imports {target}"
        for name, file in MODULES.items()
        if name.split(".")[0] == package
        for target in project_imports(file)
        if target.split(".")[0] not in MAY_IMPORT[package] | {package}
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others():
    graph = {name: {target for target in project_imports(file) if target in MODULES} for name, file in MODULES.items()}
    # A package's __init__ gathers the names of its modules; a module that imports a sibling does not go through it.
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_package_is_installed():
    declared = (ROOT / "pyproject.toml").read_text()
    packages = {module.rsplit(".", 1)[0] if file.name != "__init__.py" else module for module, file in MODULES.items()}
    assert [package for package in sorted(packages) if f'"{package}"' not in declared] == []


def test_no_file_outgrows_its_subject():
    long = {name: lines for name, file in MODULES.items() if (lines := len(file.read_text().splitlines())) > 600}
    assert long == {}
