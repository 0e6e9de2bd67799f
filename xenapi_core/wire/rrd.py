"""``/rrd_updates``: what data sources told since a moment, as XML or JSON (today's Xen-API).

The server records only what it was asked to (``record_data_source``); of everything else there is what it is now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from math import isnan, nan
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from netserve.messages import Request, Response
from xenapi_core.access.sessions import Sessions
from xenapi_core.classes.data_sources import Recorder
from xenapi_core.datamodel.errors import XenApiError
from xenapi_core.store.store import Store

PATH = "/rrd_updates"
FUNCTIONS = ("AVERAGE", "MIN", "MAX", "LAST")
"""How values would be put together where a row stands for several: here each stands for one second, so all agree."""
STEP = 1

Rows = dict[int, dict[str, float]]
"""By the second: values by the name in the legend."""


class RrdUpdates:
    """Answers GET requests for what data sources told."""

    def __init__(self, store: Store, recorder: Recorder, sessions: Sessions) -> None:
        self._store = store
        self._recorder = recorder
        self._sessions = sessions

    async def __call__(self, request: Request) -> Response:
        """Answer one request: parameters ``start`` (seconds since 1970; 0 or less: before now), ``cf``, ``host``,
        ``vm_uuid``, ``sr_uuid`` and ``json``; the session as ``session_id``, or better as a cookie of that name.
        """
        query = {name: values[-1] for name, values in parse_qs(urlsplit(request.target).query).items()}
        try:
            self._sessions.get(query.get("session_id") or _cookie(request))
        except XenApiError:
            return Response(401, body=b"This needs a session, as a cookie or parameter named session_id.")
        function = query.get("cf", FUNCTIONS[0]).upper()
        if function not in FUNCTIONS:
            return Response(400, body=b"cf is none of AVERAGE, MIN, MAX and LAST.")
        try:
            start = int(float(query.get("start", "0")))
        except (ValueError, OverflowError):
            return Response(400, body=b"start is no number of seconds since 1970.")
        now = int(self._recorder.now())
        legend, rows = self._read(query, function, start if start > 0 else now + start, now)
        as_json = query.get("json") == "true"
        body = _as_json(legend, rows, now) if as_json else _as_xml(legend, rows, now)
        return Response(200, (("Content-Type", "application/json" if as_json else "text/xml"),), body)

    def _read(self, query: Mapping[str, str], function: str, start: int, now: int) -> tuple[list[str], Rows]:
        legend: list[str] = []
        rows: Rows = {now: {}}
        for cls, ref, uuid in self._wanted(query):
            recorded = self._recorder.recorded(ref)
            for source in self._recorder.sources(ref):
                name = f"{function}:{cls.lower()}:{uuid}:{source.name}"
                legend.append(name)
                for moment, value in recorded.get(source.name, ()):
                    if moment >= start:
                        rows.setdefault(int(moment), {})[name] = value
                rows[now][name] = source.read()
        return legend, dict(sorted(rows.items(), reverse=True))

    def _wanted(self, query: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        """Yield class, reference and uuid of what is asked for: VMs that run, hosts and repositories if named."""
        one = query.get("vm_uuid")
        for vm in self._store.durable.records("VM"):
            if vm["power_state"] in ("Running", "Paused") and one in (None, vm["uuid"]):
                yield "VM", vm.ref, vm["uuid"]
        if query.get("host") == "true":
            for host in self._store.durable.records("host"):
                yield "host", host.ref, host["uuid"]
        if "sr_uuid" in query:
            for sr in self._store.durable.records("SR"):
                if sr["uuid"] == query["sr_uuid"]:
                    yield "SR", sr.ref, sr["uuid"]


def _cookie(request: Request) -> str:
    try:
        found = SimpleCookie(request.headers.get("cookie") or "").get("session_id")
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _text(value: float) -> str:
    return "NaN" if isnan(value) else f"{value:.5g}" if abs(value) < 1 else f"{value:.4f}"


def _as_xml(legend: list[str], rows: Rows, now: int) -> bytes:
    root = Element("xport")
    meta = SubElement(root, "meta")
    counts = {"start": min(rows), "step": STEP, "end": now, "rows": len(rows), "columns": len(legend)}
    for name, value in counts.items():
        SubElement(meta, name).text = str(value)
    entries = SubElement(meta, "legend")
    for name in legend:
        SubElement(entries, "entry").text = name
    data = SubElement(root, "data")
    for moment, values in rows.items():
        row = SubElement(data, "row")
        SubElement(row, "t").text = str(moment)
        for name in legend:
            SubElement(row, "v").text = _text(values.get(name, nan))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _as_json(legend: list[str], rows: Rows, now: int) -> bytes:
    meta = {"start": min(rows), "step": STEP, "end": now, "rows": len(rows), "columns": len(legend), "legend": legend}
    data = [{"t": moment, "values": [values.get(name) for name in legend]} for moment, values in rows.items()]
    return json.dumps({"meta": meta, "data": data}).encode()
