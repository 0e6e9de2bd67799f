"""``/rrd_updates``: the newest values of all data sources of a server, read in one go."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from xenapi_client.connection import Connection
from xenapi_client.errors import XenApiUnavailable

PATH = "/rrd_updates"
SINCE = 60
"""Seconds that are asked for: some rows of the finest archive, which has one for each five seconds on XenServer."""

MOST = 32 << 20
"""Bytes of an answer."""

Sources = Mapping[str, float]
"""Values by the name of the data source; what is not known now is missing."""


@dataclass(frozen=True)
class Updates:
    """What data sources told last."""

    moment: datetime
    """When the newest values were measured."""
    values: Mapping[tuple[str, str], Sources]
    """By class (lower case) and uuid of the object: "vm", "host"."""

    def of(self, cls: str, uuid: str) -> Sources:
        """Return the values of an object."""
        return self.values.get((cls.lower(), uuid), {})


async def read_updates(connection: Connection) -> Updates:
    """Return what the machines that run, and the hosts, told last.

    Raises XenApiUnavailable if the server has no such path or its answer is not one, XenApiError as calls do.
    """
    query = {"start": str(int(time.time()) - SINCE), "cf": "AVERAGE", "host": "true"}
    return await asyncio.to_thread(parse_updates, await connection.download(PATH, query, MOST))


def parse_updates(body: bytes) -> Updates:
    """Read an ``xport`` document; of each column the newest number counts. XenApiUnavailable if it is none."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True))
        if root.getroottree().docinfo.doctype:
            raise ValueError("it declares a document type")
        if root.tag != "xport":
            raise ValueError(f"the document is a {root.tag!r}")
        columns = [(each.text or "").split(":", 3) for each in root.iterfind("meta/legend/entry")]
        rows = {int(row.findtext("t", "")): row for row in root.iterfind("data/row")}
        values: dict[tuple[str, str], dict[str, float]] = {}
        for moment in sorted(rows):
            cells = [float(cell.text or "nan") for cell in rows[moment].iterfind("v")]
            for (_, cls, uuid, name), cell in zip(columns, cells, strict=True):
                if math.isfinite(cell):
                    values.setdefault((cls, uuid), {})[name] = cell
        return Updates(datetime.fromtimestamp(max(rows, default=0), UTC), values)
    except (etree.XMLSyntaxError, ValueError, OverflowError, OSError) as error:
        raise XenApiUnavailable(f"What the server has at {PATH} is no export of data sources: {error}.") from None
