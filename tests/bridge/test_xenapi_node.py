"""The clients of npm against the running bridge: xen-api, which follows a pool, and async-xenapi."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import XenAPI

from foreign_clients import npm, run
from xenapi_server import MEASURED

UNSTEADY = " ".join(f"{cls}.{name}" for cls, name in sorted(MEASURED))
"""Fields that are measured: they move without events."""

REFUSALS = ("VM_BAD_POWER_STATE", "NO_HOSTS_AVAILABLE", "VM_HAS_VGPU")
"""What random changes of power may meet: the wrong state, a full pool, a virtual GPU that cannot be suspended."""

POWER = ("start", "pause", "unpause", "suspend", "resume", "hard_shutdown", "hard_reboot")


@contextmanager
def following(bridge: Any, transport: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Follow the pool with xen-api; what is given compares its collection with the pool."""
    url = urlsplit(bridge.url("xenapi-http"))
    command = ["node", "follow.mjs", f"http://{url.netloc}", bridge.user, bridge.password, transport]
    client = subprocess.Popen(command, cwd=npm(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdout.readline() == '"following"\n'

        def compare() -> dict[str, Any]:
            client.stdin.write(UNSTEADY + "\n")
            client.stdin.flush()
            return json.loads(client.stdout.readline())

        yield compare
        client.stdin.close()
        assert client.wait(20) == 0
    finally:
        client.kill()
        client.wait()


class Disturber:
    """Another client, which does this and that."""

    def __init__(self, xenapi: Any, seed: int) -> None:
        self.xenapi = xenapi
        self.random = random.Random(seed)
        every = xenapi.VM.get_all_records()
        self.vms = [ref for ref, each in every.items() if not each["is_a_template"] and not each["is_control_domain"]]
        self.made: list[str] = []

    def disturb(self) -> None:
        self.random.choice([self.power, self.power, self.rename, self.configure, self.make, self.unmake])()

    def power(self) -> None:
        vm = self.random.choice(self.vms)
        operation = self.random.choice(POWER)
        paused = (self.random.random() < 0.3,) if operation in ("start", "resume") else ()
        try:
            getattr(self.xenapi.VM, operation)(vm, *paused)
        except XenAPI.Failure as refused:
            if refused.details[0] not in REFUSALS:
                raise

    def rename(self) -> None:
        self.xenapi.VM.set_name_label(self.random.choice(self.vms), self.random.choice(["<&>", "näme", "", "x" * 300]))

    def configure(self) -> None:
        vm, key = self.random.choice(self.vms), str(self.random.randrange(9))
        self.xenapi.VM.remove_from_other_config(vm, key)
        self.xenapi.VM.add_to_other_config(vm, key, str(self.random.random()))

    def make(self) -> None:
        self.made.append(self.xenapi.VM.create(self.xenapi.VM.get_record(self.random.choice(self.vms))))

    def unmake(self) -> None:
        if self.made:
            self.xenapi.VM.destroy(self.made.pop())

    def end(self) -> None:
        while self.made:
            self.unmake()


def follow(bridge: Any, xenapi: Any, transport: str, operations: int) -> None:
    with following(bridge, transport) as compare:
        first = compare()
        assert first["differences"] == []
        assert first["objects"] > 200
        disturber = Disturber(xenapi, seed=operations)
        try:
            for number in range(1, operations + 1):
                disturber.disturb()
                if number % 50 == 0:
                    assert compare()["differences"] == []
        finally:
            disturber.end()


@pytest.mark.parametrize("transport", ["json-rpc", "xml-rpc"])
def test_xen_api_follows_the_pool(start_bridge, transport):
    npm()
    bridge = start_bridge(XEN_CIM_VMS="12")
    follow(bridge, bridge.xenapi().xenapi, transport, 200)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("transport", ["json-rpc", "xml-rpc"])
def test_xen_api_follows_the_pool_for_long(start_bridge, transport):
    npm()
    bridge = start_bridge(XEN_CIM_VMS="12")
    follow(bridge, bridge.xenapi().xenapi, transport, 1000)


def test_async_xenapi_reads_and_starts(bridge, xenapi, halted_vm):
    folder = npm()
    url = bridge.url("xenapi-https").rstrip("/")
    told = json.loads(run("node", "read.mjs", url, bridge.user, bridge.password, halted_vm, cwd=folder))
    assert told["vms"] == xenapi.VM.get_all()
    assert told["record"]["power_state"] == "Running"
    assert told["record"]["uuid"] == xenapi.VM.get_uuid(halted_vm)
