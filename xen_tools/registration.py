"""Registration of the providers in CIM servers that load them through CMPI: SFCB and OpenPegasus."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources

from cim_provider import ClassDeclaration
from xen_providers.indications import INDICATIONS
from xen_providers.provider import CLASSES

PROVIDER = "xen-cim"
"""What the providers are known by: one module, so that one process with one inventory serves all classes."""
LOCATION = "py3CmpiProvider"
"""The library of cmpi-bindings for Python 3."""
MODEL, INTEROP = "root/cimv2", "root/interop"
PROFILES = ("CIM_RegisteredProfile", "CIM_ElementConformsToProfile", "CIM_ReferencedProfile")
"""Classes whose subclasses are read in the interop namespace too (DSP1033)."""

KINDS: Mapping[str, tuple[int, Callable[[ClassDeclaration], bool]]] = {
    "instance": (2, lambda declared: not declared.is_indication),
    "association": (3, lambda declared: declared.is_association),
    "indication": (4, lambda declared: declared.is_indication),
    "method": (5, lambda declared: bool(declared.methods)),
}
"""What a class is registered for: the word of SFCB, the ProviderType of OpenPegasus, and which classes that are."""


def declarations() -> list[ClassDeclaration]:
    """Return everything that the providers serve, by name."""
    declared = [each.declaration for each in CLASSES] + [each.declaration for each in INDICATIONS]
    return sorted(declared, key=lambda each: each.name)


def kinds(declared: ClassDeclaration) -> list[str]:
    """Return what a class is registered for."""
    return [kind for kind, (_, applies) in KINDS.items() if applies(declared)]


def namespaces(declared: ClassDeclaration, ancestors: Mapping[str, str]) -> list[str]:
    """Return where a class is served; ``ancestors`` gives the superclass of each class of the model."""
    name = declared.superclass
    while name in ancestors and name not in PROFILES:
        name = ancestors[name]
    return [MODEL, INTEROP] if name in PROFILES else [MODEL]


def sfcb(declared: Sequence[ClassDeclaration], ancestors: Mapping[str, str]) -> str:
    """Return the registration file of SFCB."""
    return "".join(
        f"[{each.name}]\n"
        f"   provider: {PROVIDER}\n"
        f"   location: {LOCATION}\n"
        f"   type: {' '.join(kinds(each))}\n"
        f"   namespace: {' '.join(namespaces(each, ancestors))}\n"
        f"   group: {PROVIDER}\n"
        "   unload: never\n"
        "#\n"
        for each in declared
    )


def pegasus(declared: Sequence[ClassDeclaration], ancestors: Mapping[str, str]) -> str:
    """Return the registration of OpenPegasus, MOF for its interop namespace."""
    module = _instance(
        "PG_ProviderModule",
        Name=PROVIDER,
        Vendor="xen-cim",
        Version="1.0.0",
        InterfaceType="CMPI",
        InterfaceVersion="2.0.0",
        Location=LOCATION,
        ModuleGroupName=PROVIDER,
    )
    provider = _instance("PG_Provider", Name=PROVIDER, ProviderModuleName=PROVIDER)
    capabilities = (
        _instance(
            "PG_ProviderCapabilities",
            CapabilityID=each.name,
            ProviderModuleName=PROVIDER,
            ProviderName=PROVIDER,
            ClassName=each.name,
            Namespaces=namespaces(each, ancestors),
            ProviderType=[KINDS[kind][0] for kind in kinds(each)],
        )
        for each in declared
    )
    return "\n".join((module, provider, *capabilities))


def _instance(class_name: str, **properties: object) -> str:
    lines = "".join(f"   {name} = {_literal(value)};\n" for name, value in properties.items())
    return f"instance of {class_name} {{\n{lines}}};\n"


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"{{ {', '.join(map(_literal, value))} }}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def ancestors_of(texts: Iterable[str]) -> dict[str, str]:
    """Return the superclass of each class that MOF texts declare."""
    found = {}
    for text in texts:
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["class"] and len(words) > 3 and words[2] == ":":
                found[words[1]] = words[3]
    return found


FILES: Mapping[str, Callable[[Sequence[ClassDeclaration], Mapping[str, str]], str]] = {
    "sfcb/xen-cim.reg": sfcb,
    "pegasus/xen-cim-registration.mof": pegasus,
}
"""The files below ``cimom-config/``, and what writes each."""


def main() -> None:
    """Write one of the files to standard output: ``python -m xen_tools.registration sfcb/xen-cim.reg``."""
    print(text_of(sys.argv[1]), end="")


def text_of(file: str) -> str:
    """Return a file of ``cimom-config/`` as the declarations have it."""
    folder = resources.files("xen_providers.mof")
    texts = (each.read_text() for each in folder.iterdir() if each.name.endswith(".mof"))
    return FILES[file](declarations(), ancestors_of(texts))


if __name__ == "__main__":
    main()
