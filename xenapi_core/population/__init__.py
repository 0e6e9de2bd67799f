"""Making the objects of a simulated pool as a scenario declares them: a file per subject.

Every object has a path, such as "vm/7/disk/0"; its uuid, its reference and its addresses follow from the path and the
seed alone, so the same scenario gives the same pool, and a VM more changes nothing about the others.
"""

from __future__ import annotations

from xenapi_core.datamodel import Store
from xenapi_core.population.attachments import make_attachments
from xenapi_core.population.context import Making
from xenapi_core.population.devices import make_devices
from xenapi_core.population.hosts import cpu_info, make_hosts
from xenapi_core.population.identity import identity, mac
from xenapi_core.population.machines import make_control_domains, make_templates, make_vms
from xenapi_core.population.networks import make_networks
from xenapi_core.population.others import make_others
from xenapi_core.population.storage import count_images, make_storage
from xenapi_core.scenario import Scenario

__all__ = ["identity", "mac", "populate"]


def populate(store: Store, scenario: Scenario) -> None:
    """Make the pool that a scenario declares, in one step, unless the store has a pool already."""
    if next(iter(store.records("pool")), None) is None:
        with store.write() as change:
            _make(Making(change, scenario))


def _make(making: Making) -> None:
    """Make all objects. The order is that in which the API lists them."""
    make_hosts(making)
    make_networks(making)
    make_storage(making)
    _make_pool(making)
    make_control_domains(making)
    make_templates(making)
    make_vms(making)
    make_others(making)
    make_devices(making)
    make_attachments(making)
    for metrics, free in zip(making.metrics, making.free, strict=True):
        making.change.update(metrics, memory_free=free)
    count_images(making)


def _make_pool(making: Making) -> None:
    pool = making.scenario.pool
    making.create(
        "pool",
        "pool",
        name_label=pool.name,
        name_description=pool.description,
        master=making.hosts[0],
        default_SR=making.default_sr,
        suspend_image_SR=making.default_sr,
        crash_dump_SR=making.default_sr,
        cpu_info=cpu_info(making, len(making.hosts)),
        other_config={"auto_poweron": "false"},
    )
