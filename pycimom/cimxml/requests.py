"""A CIM-XML message as a call (DSP0200 5, DSP0203): checked for form, its parameters not yet for meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from lxml import etree


class Element(Protocol):
    """What is used of an XML element: lxml's own type allows bytes as names, which a parser never gives."""

    tag: str
    text: str | None

    def get(self, name: str) -> str | None:
        """Return an attribute."""

    def iter(self, tag: str) -> Iterator[Element]:
        """Return all elements of this name at any depth."""

    def __iter__(self) -> Iterator[Element]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Element: ...


DEPTH = 64
"""How deeply elements may be nested. DSP0203 needs about 15, references in references some more."""


ELEMENTS = 200_000
"""How many elements a message may have, about; an element costs more memory than its bytes."""


class BadMessageError(Exception):
    """A message that is no CIM-XML request: answered in HTTP, with the word for the CIMError header (DSP0200 7.3.3)."""

    def __init__(self, cim_error: str, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.cim_error = cim_error
        self.status = status


@dataclass(frozen=True)
class Target:
    """What an extrinsic method is called on: a class, or an instance by its INSTANCENAME element."""

    class_name: str
    instance_name: Element | None = None


@dataclass(frozen=True)
class Call:
    """One request. Parameters are the elements that hold the values, None for NULL, by name as it was sent."""

    message_id: str
    protocol_version: str
    name: str
    namespace: str
    parameters: Mapping[str, Element | None]
    target: Target | None = None
    """Only for extrinsic methods."""


def parse_call(body: bytes, depth: int = DEPTH, elements: int = ELEMENTS) -> Call:
    """Read a request message; BadMessageError if it is none, has too many elements, or nests them too deeply."""
    if body.count(b"<") > 2 * elements:
        raise BadMessageError("request-not-valid", f"The message has more than {elements} elements.", 413)
    root = parse_document(body, depth)
    message = _envelope(root)
    request = _only_child(message)
    if request.tag == "MULTIREQ":
        raise BadMessageError("header-mismatch", "A message with several requests needs the header CIMBatch.")
    if request.tag != "SIMPLEREQ":
        raise BadMessageError("request-not-valid", f"MESSAGE holds {request.tag}, not SIMPLEREQ.")
    call = _only_child(request, ignored="CORRELATOR")
    message_id, version = attribute(message, "ID"), attribute(message, "PROTOCOLVERSION")
    if call.tag == "IMETHODCALL":
        children = list(call)
        if not children or children[0].tag != "LOCALNAMESPACEPATH":
            raise BadMessageError("request-not-valid", "IMETHODCALL begins with LOCALNAMESPACEPATH.")
        return Call(
            message_id,
            version,
            attribute(call, "NAME"),
            namespace_of(children[0]),
            _parameters(children[1:], "IPARAMVALUE"),
        )
    if call.tag == "METHODCALL":
        children = list(call)
        if not children:
            raise BadMessageError("request-not-valid", "METHODCALL begins with LOCALCLASSPATH or LOCALINSTANCEPATH.")
        namespace, target = _target(children[0])
        parameters = _parameters(children[1:], "PARAMVALUE")
        return Call(message_id, version, attribute(call, "NAME"), namespace, parameters, target)
    raise BadMessageError("request-not-valid", f"SIMPLEREQ holds {call.tag}, not IMETHODCALL or METHODCALL.")


def parse_document(body: bytes, depth: int = DEPTH) -> Element:
    """Parse XML as UTF-8, without document types, entities or elements nested more than ``depth`` deep."""
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadMessageError("request-not-well-formed", f"The XML is not well-formed: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadMessageError("request-not-valid", "A document type is not accepted.")
    document = cast(Element, root)
    if _deeper_than(document, depth):
        raise BadMessageError("request-not-valid", f"Elements are nested more than {depth} deep.")
    return document


def attribute(element: Element, name: str) -> str:
    """Return a required attribute."""
    value = element.get(name)
    if value is None:
        raise BadMessageError("request-not-valid", f"{element.tag} lacks the attribute {name}.")
    return value


def namespace_of(path: Element) -> str:
    """Return the namespace of a LOCALNAMESPACEPATH or NAMESPACEPATH."""
    parts = [attribute(each, "NAME").strip("/") for each in path.iter("NAMESPACE")]
    if not parts:
        raise BadMessageError("request-not-valid", f"{path.tag} names no namespace.")
    return "/".join(parts)


def text_of(element: Element) -> str:
    """Return the text of an element that has only text."""
    if len(element):
        raise BadMessageError("request-not-valid", f"{element.tag} holds elements instead of text.")
    return element.text or ""


def _deeper_than(root: Element, limit: int) -> bool:
    level: list[Iterator[Element]] = [iter([root])]
    while level:
        element = next(level[-1], None)
        if element is None:
            level.pop()
        elif len(element):
            level.append(iter(element))
            if len(level) > limit:
                return True
    return False


def _envelope(root: Element) -> Element:
    if root.tag != "CIM":
        raise BadMessageError("request-not-valid", f"The outermost element is {root.tag}, not CIM.")
    _check_version(attribute(root, "CIMVERSION"), "2.", "unsupported-cim-version")
    _check_version(attribute(root, "DTDVERSION"), "2.", "unsupported-dtd-version")
    message = _only_child(root)
    if message.tag != "MESSAGE":
        raise BadMessageError("request-not-valid", f"CIM holds {message.tag}, not MESSAGE.")
    attribute(message, "ID")
    _check_version(attribute(message, "PROTOCOLVERSION"), "1.", "unsupported-protocol-version")
    return message


def _check_version(version: str, supported: str, cim_error: str) -> None:
    if not version.startswith(supported):
        raise BadMessageError(cim_error, f"Version {version} is not supported, {supported}x is.", 501)


def _only_child(element: Element, ignored: str = "") -> Element:
    children = [each for each in element if each.tag != ignored]
    if len(children) != 1:
        raise BadMessageError("request-not-valid", f"{element.tag} holds {len(children)} elements, not one.")
    return children[0]


def _parameters(elements: Sequence[Element], tag: str) -> dict[str, Element | None]:
    found: dict[str, Element | None] = {}
    seen: set[str] = set()
    for element in elements:
        if element.tag != tag:
            raise BadMessageError("request-not-valid", f"{element.tag} stands where only {tag} may.")
        name = attribute(element, "NAME")
        if len(element) > 1:
            raise BadMessageError("request-not-valid", f"The parameter {name} has several values.")
        if name.lower() in seen:
            raise BadMessageError("request-not-valid", f"The parameter {name} is given twice.")
        seen.add(name.lower())
        found[name] = element[0] if len(element) else None
    return found


def _target(path: Element) -> tuple[str, Target]:
    if path.tag not in ("LOCALCLASSPATH", "LOCALINSTANCEPATH") or len(path) != 2:
        raise BadMessageError("request-not-valid", "METHODCALL begins with LOCALCLASSPATH or LOCALINSTANCEPATH.")
    where, what = path[0], path[1]
    namespace = namespace_of(where)
    if path.tag == "LOCALCLASSPATH" and what.tag == "CLASSNAME":
        return namespace, Target(attribute(what, "NAME"))
    if path.tag == "LOCALINSTANCEPATH" and what.tag == "INSTANCENAME":
        return namespace, Target(attribute(what, "CLASSNAME"), what)
    raise BadMessageError("request-not-valid", f"{path.tag} holds {what.tag}.")
