"""The simulated hypervisor by itself."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xenapi_core.hypervisors.interface import (
    DomainConfig,
    DomainGoneError,
    Hypervisor,
    HypervisorError,
    Nic,
    Stop,
)
from xenapi_core.hypervisors.simulated import LOG_LINES, SYSTEMS, SimulatedHypervisor, Timings, address, guest_of

MIB = 1 << 20


def config(uuid: str = "a", system: str = "debian-12") -> DomainConfig:
    nic = Nic(device="0", mac="00:16:3e:01:02:03", bridge="xenbr0", mtu=1500)
    return DomainConfig(
        uuid=uuid,
        name=f"vm {uuid}",
        memory=64 * MIB,
        memory_max=128 * MIB,
        vcpus=1,
        vcpus_max=4,
        kind="pvh",
        system=system,
        nics=(nic,),
    )


@pytest.fixture
def hypervisor() -> SimulatedHypervisor:
    return SimulatedHypervisor("xen01", timings=Timings().scaled(0))


async def test_domain_comes_and_goes(hypervisor: SimulatedHypervisor) -> None:
    as_declared: Hypervisor = hypervisor
    domain = await as_declared.start(config())
    assert (domain.domid, domain.paused, domain.memory, domain.vcpus) == (1, False, 64 * MIB, 1)
    assert as_declared.domains() == {"a": domain}
    await as_declared.clean_shutdown("a")
    assert as_declared.domains() == {}


async def test_domain_numbers_are_not_used_again(hypervisor: SimulatedHypervisor) -> None:
    first = await hypervisor.start(config())
    await hypervisor.hard_shutdown("a")
    second = await hypervisor.start(config())
    third = await hypervisor.hard_reboot(config())
    fourth = await hypervisor.clean_reboot(config())
    assert [domain.domid for domain in (first, second, third, fourth)] == [1, 2, 3, 4]


async def test_paused_domain_has_no_agent_until_it_runs(hypervisor: SimulatedHypervisor) -> None:
    domain = await hypervisor.start(config(), paused=True)
    assert domain.paused
    assert domain.guest is None
    running = await hypervisor.unpause("a")
    assert running.guest is not None
    assert (await hypervisor.pause("a")).guest == running.guest


async def test_suspended_domain_is_gone_and_comes_back(hypervisor: SimulatedHypervisor) -> None:
    await hypervisor.start(config())
    await hypervisor.suspend("a", "image")
    assert hypervisor.domains() == {}
    assert (await hypervisor.resume(config(), "image", paused=True)).paused


async def test_what_needs_a_domain_says_that_there_is_none(hypervisor: SimulatedHypervisor) -> None:
    for operation in (
        hypervisor.pause("a"),
        hypervisor.unpause("a"),
        hypervisor.suspend("a", "image"),
        hypervisor.clean_shutdown("a"),
        hypervisor.clean_reboot(config()),
        hypervisor.hard_reboot(config()),
        hypervisor.set_memory("a", MIB),
        hypervisor.set_vcpus("a", 1),
    ):
        with pytest.raises(DomainGoneError):
            await operation
    await hypervisor.hard_shutdown("a")
    assert hypervisor.domains() == {}


async def test_one_domain_per_vm(hypervisor: SimulatedHypervisor) -> None:
    await hypervisor.start(config())
    with pytest.raises(HypervisorError, match="already has a domain"):
        await hypervisor.start(config())


async def test_limits_of_a_domain(hypervisor: SimulatedHypervisor) -> None:
    await hypervisor.start(config())
    assert (await hypervisor.set_memory("a", 128 * MIB)).memory == 128 * MIB
    assert (await hypervisor.set_vcpus("a", 4)).vcpus == 4
    with pytest.raises(HypervisorError, match="cannot have"):
        await hypervisor.set_memory("a", 129 * MIB)
    with pytest.raises(HypervisorError, match="cannot have"):
        await hypervisor.set_vcpus("a", 5)


@pytest.mark.parametrize("stop", list(Stop))
async def test_guest_that_stops_by_itself_is_reported(hypervisor: SimulatedHypervisor, stop: Stop) -> None:
    heard: list[tuple[str, Stop]] = []
    hypervisor.watch(lambda uuid, how: heard.append((uuid, how)))
    await hypervisor.start(config())
    hypervisor.guest_stops("a", stop)
    assert heard == [("a", stop)]
    assert ("a" in hypervisor.domains()) == (stop is Stop.crash)
    assert all(domain.crashed for domain in hypervisor.domains().values())


async def test_log_is_bounded(hypervisor: SimulatedHypervisor) -> None:
    for _ in range(LOG_LINES):
        await hypervisor.start(config())
        await hypervisor.hard_shutdown("a")
    assert len(hypervisor.log().splitlines()) == LOG_LINES


def test_timings_are_scaled() -> None:
    assert set(vars(Timings().scaled(0)).values()) == {0}
    assert Timings(start=2.0).scaled(0.5).start == 1.0


@pytest.mark.parametrize("system", [*SYSTEMS, ""])
def test_agent_tells_of_its_system(system: str) -> None:
    guest = guest_of(config(system=system))
    assert (guest is None) == (system == "")
    if guest is not None:
        assert guest.os_version["distro"] == SYSTEMS[system].distro
        assert guest.networks["0/ip"] == guest.networks["0/ipv4/0"] == "10.1.2.3"
        assert guest.networks["0/ipv6/0"] == "fe80::216:3eff:fe01:203"


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_addresses_are_addresses(octets: list[int]) -> None:
    ipv4, ipv6 = address(":".join(f"{octet:02x}" for octet in octets))
    assert IPv4Address(ipv4).is_private
    assert IPv6Address(ipv6).is_link_local
