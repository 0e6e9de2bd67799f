"""The message that carries an indication, and what a listener answers (DSP0200 5.2.3, DSP0201 5.3)."""

from __future__ import annotations

from collections.abc import Collection

from lxml import etree

from cim_provider import Instance
from pycimom.cimxml.scalars import escape
from pycimom.cimxml.writing import Writer
from pycimom.repository import Repository

HEADERS = {
    "Content-Type": 'application/xml; charset="utf-8"',
    "Accept": "application/xml",
    "Accept-Encoding": "identity",
    "CIMExport": "MethodRequest",
    "CIMExportMethod": "ExportIndication",
}

_PER_DESTINATION = ("IndicationFilterName", "SequenceContext", "SequenceNumber")
_END = "</INSTANCE>"


class ExportEncoder:
    """Encodes indications, each once for all who get it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._writer = Writer(repository)

    def instance(self, indication: Instance, namespace: str, properties: Collection[str] | None) -> str:
        """Return the INSTANCE element without the properties that differ by destination.

        ``properties`` are the ones selected by the query, by the class's spelling; None for all. The text is kept
        with the instance.
        """
        selected = None if properties is None else frozenset(name.lower() for name in properties)
        key = f"export {namespace} {sorted(selected) if selected is not None else '*'}"
        text = indication.cache.get(key)
        if text is None:
            cim_class = self._repository.get(namespace, indication.class_name)
            wanted = {name.lower() for name in cim_class.properties} if selected is None else selected
            wanted = wanted - {name.lower() for name in _PER_DESTINATION}
            text = indication.cache[key] = self._writer.instance(indication, namespace, wanted)
        return str(text)

    def has_sequence(self, namespace: str, class_name: str) -> bool:
        """Whether indications of a class can say which one in a sequence they are."""
        cim_class = self._repository.get(namespace, class_name)
        return all(cim_class.find_property(name) is not None for name in _PER_DESTINATION)


def sequenced(instance: str, filter_name: str, context: str, number: int) -> str:
    """Return an INSTANCE element with the filter that selected it and its place in the sequence of its destination."""
    return (
        instance.removesuffix(_END)
        + f'<PROPERTY NAME="IndicationFilterName" TYPE="string"><VALUE>{escape(filter_name)}</VALUE></PROPERTY>'
        + f'<PROPERTY NAME="SequenceContext" TYPE="string"><VALUE>{escape(context)}</VALUE></PROPERTY>'
        + f'<PROPERTY NAME="SequenceNumber" TYPE="sint64"><VALUE>{number}</VALUE></PROPERTY>'
        + _END
    )


def export_message(instance: str, message_id: str) -> bytes:
    """Return the export request for an INSTANCE element."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        f'<MESSAGE ID="{message_id}" PROTOCOLVERSION="1.0"><SIMPLEEXPREQ><EXPMETHODCALL NAME="ExportIndication">'
        f'<EXPPARAMVALUE NAME="NewIndication">{instance}</EXPPARAMVALUE>'
        "</EXPMETHODCALL></SIMPLEEXPREQ></MESSAGE></CIM>"
    ).encode()


def refusal(answer: bytes) -> str | None:
    """Return why a listener refused an indication that it answered with HTTP status 200; None if it took it.

    Some listeners answer with nothing at all, which is taken as success.
    """
    if not answer.strip():
        return None
    try:
        root = etree.fromstring(answer, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        return f"the answer is no XML ({error})"
    found = root.find(".//ERROR")
    if found is None:
        return None
    return f"error {found.get('CODE', '?')}: {found.get('DESCRIPTION', 'no description')}"
