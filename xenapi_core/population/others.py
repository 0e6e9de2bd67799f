"""The objects of a simulated pool that belong to no host, network, storage or VM, or to each host alike."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from xenapi_core.access.identifiers import identifier
from xenapi_core.access.sessions import LOCAL
from xenapi_core.classes.role import reference
from xenapi_core.datamodel import Role
from xenapi_core.population.context import GIB, Making


def make_others(making: Making) -> None:
    """Make users, what hosts show and can do, and what the pool knows of its surroundings."""
    _make_access(making)
    for number, host in enumerate(making.hosts):
        _make_host_parts(making, number, host)
    _make_streamed_disks(making)
    _make_updates(making)
    making.create("SDN_controller", "sdn", protocol="pssl", port=6632)
    making.create("Observer", "observer", name_label="traces", components=["xapi"], enabled=False)
    making.create("VM_group", "group", name_label="Apart", placement="anti_affinity")
    about = {"cls": "Pool", "obj_uuid": making.change.record(_pool(making))["uuid"]}
    told = "The simulated pool has been made"
    making.create("message", "made", name="POOL_MADE", priority=5, timestamp=making.now, body=told, **about)


def _make_access(making: Making) -> None:
    making.create("user", "user/root", short_name="root", fullname="Administrator")
    making.create(
        "subject",
        "subject/guest",
        subject_identifier=identifier(LOCAL, "guest"),
        other_config={"subject-name": "guest"},
        roles=[reference(Role.READ_ONLY.label)],
    )
    making.create("secret", "secret/storage", value="simulated", other_config={"purpose": "storage"})
    making.create("debug", "debug")


def _make_host_parts(making: Making, number: int, host: str) -> None:
    making.create(
        "Feature",
        f"host/{number}/feature/live-patching",
        name_label="live patching",
        name_description="Patches of the running hypervisor",
        enabled=True,
        host=host,
    )
    path = f"host/{number}/certificate"
    digest = sha256(f"{making.scenario.seed}/{path}".encode()).hexdigest().upper()
    making.create(
        "Certificate",
        path,
        type="host",
        host=host,
        not_before=making.now - timedelta(days=60),
        not_after=making.now + timedelta(days=3590),
        fingerprint=":".join(digest[start : start + 2] for start in range(0, len(digest), 2)),
    )


def _make_streamed_disks(making: Making) -> None:
    site = making.create("PVS_site", "pvs", name_label="Streaming", PVS_uuid="simulated")
    making.create("PVS_server", "pvs/server", addresses=["192.0.2.250"], first_port=6910, last_port=6930, site=site)
    making.create(
        "PVS_cache_storage", "pvs/cache", host=making.hosts[0], SR=making.default_sr, site=site, size=20 * GIB
    )
    vif = next(iter(making.change.records("VIF")), None)
    if vif is not None:
        making.create("PVS_proxy", "pvs/proxy", site=site, VIF=vif.ref)


def _make_updates(making: Making) -> None:
    address = "https://updates.example.com"
    values = {"binary_url": f"{address}/binary", "source_url": f"{address}/source", "update": True}
    making.create("Repository", "repository", name_label="Updates", **values)


def _pool(making: Making) -> str:
    return next(iter(making.change.records("pool"))).ref
