"""Every association of a running bridge, held against an oracle: the Xen-API's records and the rules of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache

import pytest
import pywbem

from oracle_associations import ASSOCIATIONS
from oracle_records import Records
from oracle_rules import End, Rule

SINGLE = {
    *(name for name in ASSOCIATIONS if "Service" in name and "Affects" not in name),
    *(name for name in ASSOCIATIONS if name.startswith("Xen_Referenced")),
    "Xen_ElementConformsToBaseMetricsProfile",
    "Xen_ElementConformsToVirtualSystemMigrationProfile",
    "Xen_ElementConformsToJobControlProfile",
    "Xen_ResourcePoolConformsToGenericDeviceAllocationProfile",
    "Xen_HostedHostPool",
    "Xen_VirtualSystemMigrationSettingsDefineCapabilities",
}
"""Associations of what a pool has once: its services and their capabilities, its profiles, its library of CDs."""
ALL_WITH_ALL = {
    "Xen_HasVirtualizationCapabilities",
    *(f"Xen_MetricDefFor{word}" for word in ("Disk", "NetworkPort", "HostNetworkPort")),
}
"""Associations of all instances of one class with all of another, as they are meant."""
OF_JOBS = ("JobElement", "JobMethodResult")
"""Associations of jobs, which there are while clients begin some; tests/xen_providers/test_job_control.py has them."""


def told(path: pywbem.CIMInstanceName) -> End:
    """Tell an instance as the oracle does."""
    key = next(key for key in ("DeviceID", "InstanceID", "Id", "Name") if key in path)
    return str(path.classname), str(path[key])


class Pool:
    """What the oracle says, and what the server enumerates."""

    def __init__(self, wbem: pywbem.WBEMConnection, records: Records) -> None:
        self.wbem = wbem
        self.records = records
        self.expected = cache(self._expected)
        self.shown = cache(self._shown)
        self.partners = cache(self._partners)
        self.superclasses = cache(self._superclasses)

    def _expected(self, name: str) -> list[tuple[End, End]]:
        return sorted(ASSOCIATIONS[name].pairs(self.records))

    def _shown(self, name: str) -> list[tuple[pywbem.CIMInstanceName, pywbem.CIMInstanceName]]:
        one, other = ASSOCIATIONS[name].roles
        return [(each[one], each[other]) for each in self.wbem.EnumerateInstances(name)]

    def _partners(self, level: str, role: str, other_role: str) -> dict[End, list[tuple[str, End]]]:
        """Return, by what has a role, the associations at or under a class, and what has the other role there."""
        found: dict[End, list[tuple[str, End]]] = defaultdict(list)
        for name, rule in ASSOCIATIONS.items():
            if {role, other_role} == set(rule.roles) and level in self.superclasses(name):
                side = rule.roles.index(role)
                for pair in self.expected(name):
                    found[pair[side]].append((name, pair[1 - side]))
        return found

    def _superclasses(self, name: str) -> list[str]:
        above = self.wbem.GetClass(name, LocalOnly=False).superclass
        return [name, *(self.superclasses(above) if above else [])]


@pytest.fixture(scope="module")
def pool(bridge) -> Iterator[Pool]:
    session = bridge.xenapi()
    with bridge.wbem() as wbem:
        yield Pool(wbem, Records(session.xenapi))
    session.xenapi.session.logout()


def test_every_association_has_a_rule(pool):
    served = {
        each.classname
        for each in pool.wbem.EnumerateClasses(DeepInheritance=True, LocalOnly=False)
        if "Association" in each.qualifiers and each.classname.startswith("Xen_")
    }
    generic = {rule.generic for rule in ASSOCIATIONS.values()}
    without = served - set(ASSOCIATIONS) - generic
    assert {each for each in without if not each.endswith(OF_JOBS)} == set()
    assert set(ASSOCIATIONS) <= served


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_the_pairs_are_those_of_the_rule(pool, name):
    assert sorted((told(one), told(other)) for one, other in pool.shown(name)) == pool.expected(name)


@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_the_simulated_pool_has_pairs_and_what_is_none(pool, name):
    pairs = pool.expected(name)
    if name in SINGLE:
        return
    assert len(pairs) >= 2
    ones, others = ({pair[side] for pair in pairs} for side in (0, 1))
    if len(ones) > 1 and len(others) > 1 and name not in ALL_WITH_ALL:
        assert len(pairs) < len(ones) * len(others), "everything is associated with everything"


def ends(pool: Pool, name: str, side: int) -> list[pywbem.CIMInstanceName]:
    """Return some of the instances at a side: the first and the last."""
    found = {told(pair[side]): pair[side] for pair in pool.shown(name)}
    return [found[each] for each in sorted({min(found), max(found)})] if found else []


@pytest.mark.slow
@pytest.mark.parametrize("name", ASSOCIATIONS)
def test_each_end_leads_to_the_other_at_each_level_by_each_filter(pool, name):
    rule = ASSOCIATIONS[name]
    for side in (0, 1):
        for end in ends(pool, name, side):
            for level in {name, rule.generic, rule.schema}:
                check_level(pool, rule, level, side, end)


def check_level(pool: Pool, rule: Rule, level: str, side: int, end: pywbem.CIMInstanceName) -> None:
    """Ask from an end by an association of some level: with the right roles, with those of the other end, by class."""
    roles = (rule.roles[side], rule.roles[1 - side])
    partners = pool.partners(level, *roles).get(told(end), [])
    reverse = pool.partners(level, *reversed(roles)).get(told(end), [])
    assert associated(pool, end, AssocClass=level, Role=roles[0], ResultRole=roles[1]) == {each[1] for each in partners}
    assert associated(pool, end, AssocClass=level, Role=roles[1]) == {each[1] for each in reverse}
    named = pool.wbem.ReferenceNames(end, ResultClass=level, Role=roles[0])
    assert sorted(ours(each.classname for each in named)) == sorted(association for association, _ in partners)
    for above in pool.superclasses(min(other[0] for _, other in partners))[:2]:
        of_class = {other for _, other in partners if above in pool.superclasses(other[0])}
        assert associated(pool, end, AssocClass=level, ResultClass=above, ResultRole=roles[1]) == of_class


def associated(pool: Pool, end: pywbem.CIMInstanceName, **filters: str) -> set[End]:
    """Return what is at the other ends; nothing is to be there twice."""
    found = [told(each) for each in pool.wbem.AssociatorNames(end, **filters) if ours([each.classname])]
    assert len(set(found)) == len(found)
    return set(found)


def ours(names: Iterable[str]) -> list[str]:
    """Return the classes of the model: the CIM server has profiles and associations of its own."""
    return [each for each in names if each.startswith("Xen_")]


def test_instances_are_found_by_association_as_by_name(pool):
    """Associators and References give what GetInstance gives, for one pair of each association."""
    for name in ASSOCIATIONS:
        for one, other in pool.shown(name)[:1]:
            found = pool.wbem.Associators(one, AssocClass=name)
            assert told(other) in [told(each.path) for each in found]
            for each in pool.wbem.References(one, ResultClass=name):
                assert pool.wbem.GetInstance(each.path).items() == each.items()
