"""Every answer of a CIM server under test, validated against the DTD of DSP0203 2.4."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import pywbem
from lxml import etree

from netserve.messages import Request, Response
from pycimom.http_binding import CimXmlHandler
from pywbem_sources import DTD, pywbem_sources


class Answers:
    """What was validated, and what was wrong with it."""

    def __init__(self, dtd: etree.DTD) -> None:
        self._dtd = dtd
        self.count = 0
        self.problems: list[str] = []

    def check(self, response: Response) -> None:
        """Validate an answer if it is CIM-XML."""
        headers = {name.lower(): value for name, value in response.headers}
        if response.status != 200 or not headers.get("content-type", "").startswith("application/xml"):
            return
        body: Any = response.body
        data = bytes(body) if isinstance(body, bytes | bytearray) else b"".join(body)
        self.check_message(gzip.decompress(data) if headers.get("content-encoding") == "gzip" else data)

    def check_message(self, data: bytes) -> None:
        """Validate a message of CIM-XML."""
        self.count += 1
        if not self._dtd.validate(etree.fromstring(data, etree.XMLParser(huge_tree=True))):
            errors = "; ".join(f"{each.message}" for each in list(self._dtd.error_log)[:3])
            self.problems.append(f"{errors} in {data[:400].decode(errors='replace')}")


class ValidatingRecorder(pywbem.BaseOperationRecorder):
    """Validates what a client gets, where the server is a process of its own; an AssertionError ends the operation."""

    def copy(self) -> ValidatingRecorder:
        """Return another one, as pywbem wants it."""
        return ValidatingRecorder()

    def record(self, pywbem_args: Any, pywbem_result: Any, http_request: Any, http_response: Any) -> None:
        """Take an operation."""
        if not http_response.payload or (dtd := _dtd()) is None:
            return
        answers = Answers(dtd)
        payload = http_response.payload
        answers.check_message(payload.encode() if isinstance(payload, str) else payload)
        assert not answers.problems, answers.problems


@cache
def _dtd() -> etree.DTD | None:
    try:
        return etree.DTD(io.BytesIO((pywbem_sources() / DTD).read_bytes()))
    except pytest.skip.Exception:
        return None


@contextmanager
def validated_answers() -> Iterator[Answers | None]:
    """Validate what the servers of this process answer meanwhile; None if the DTD cannot be had."""
    dtd = _dtd()
    if dtd is None:
        yield None
        return
    answers = Answers(dtd)
    answer = CimXmlHandler.__call__

    async def answer_and_check(handler: CimXmlHandler, request: Request) -> Response:
        response = await answer(handler, request)
        answers.check(response)
        return response

    patch = pytest.MonkeyPatch()
    patch.setattr(CimXmlHandler, "__call__", answer_and_check)
    try:
        yield answers
    finally:
        patch.undo()
