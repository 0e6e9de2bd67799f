"""Views: one made step by step from changes equals one made afresh, and shares what did not change."""

from __future__ import annotations

import operator
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_provider import InstanceName
from xen_providers.mapping.declaration import AnyOf, MappedClass, association, key, string, strings
from xen_providers.mapping.expressions import PART, POOL, computed, joined, parse_path, value
from xen_providers.mapping.view import Model, XenView
from xen_providers.provider import CLASSES
from xenapi_client import Change, Operation, Version


def processor_name(uuid: str, number: int) -> InstanceName:
    return InstanceName("Xen_Processor", (("ID", f"{uuid}/{number}"),))


def pinned_processors(count: str, pinned: str | None) -> list[int]:
    return [int(number) for number in (pinned or "").split() if int(number) < int(count)]


HOST = MappedClass("Xen_Host", "CIM_System", "host", {"ID": key(string("uuid"))})
SYSTEM = MappedClass(
    "Xen_System", "CIM_System", "VM", {"ID": key(string("uuid"))}, where=value("is_a_template", operator.not_)
)
TEMPLATE = MappedClass("Xen_Template", "CIM_Settings", "VM", {"ID": key(string("uuid"))}, where=value("is_a_template"))
SETTINGS = MappedClass("Xen_Settings", "CIM_Settings", "VM", {"ID": key(string("uuid"))}, where=SYSTEM.where)
PROCESSOR = MappedClass(
    "Xen_Processor",
    "CIM_Processor",
    "VM",
    {
        "ID": key(string(computed("{0}/{1}".format, "uuid", PART))),
        "Load": string("metrics.memory_actual"),
    },
    where=SYSTEM.where,
    parts=value("VCPUs_max", lambda count: range(int(count))),
)
EVEN = replace(PROCESSOR, name="Xen_Even", parts=value("VCPUs_max", lambda count: range(0, int(count), 2)))
SERVICE = MappedClass(
    "Xen_Service", "CIM_Service", "pool", {"ID": key(string("master.uuid")), "Hosts": strings("@hosts.uuid")}
)
COMPONENT = AnyOf("CIM_Settings", (SETTINGS, TEMPLATE))
PARTS = (
    HOST,
    SYSTEM,
    TEMPLATE,
    SETTINGS,
    PROCESSOR,
    EVEN,
    SERVICE,
    association("Xen_SystemProcessor", "CIM_X", "VM", {"Whole": (SYSTEM, ""), "Part": (PROCESSOR, "")}),
    association("Xen_Affects", "CIM_X", "VM", {"Service": (SERVICE, POOL), "System": (SYSTEM, "")}),
    association("Xen_Component", "CIM_X", "VBD", {"Whole": (COMPONENT, "VM"), "Part": (SERVICE, POOL)}),
    association("Xen_SameNumber", "CIM_X", "VM", {"One": (EVEN, ""), "Other": (PROCESSOR, "")}),
    association(
        "Xen_Pinned",
        "CIM_X",
        "VM",
        {
            "Host": (HOST, "resident_on"),
            "Processor": (PROCESSOR, "", computed(processor_name, "uuid", PART)),
        },
        parts=computed(pinned_processors, "VCPUs_max", "other_config/pinned"),
        where=PROCESSOR.where,
    ),
)
MODELS = {"the Xen model": CLASSES, "parts, unions, the pool and all hosts": PARTS}
MODEL = Model(CLASSES)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NULL = "OpaqueRef:NULL"


def vm(ref: str, **fields: Any) -> dict[str, Any]:
    record = {
        "uuid": f"uuid-{ref}",
        "name_label": ref,
        "name_description": "",
        "is_a_template": False,
        "is_a_snapshot": False,
        "is_control_domain": False,
        "power_state": "Halted",
        "allowed_operations": ["start"],
        "current_operations": {},
        "resident_on": NULL,
        "affinity": NULL,
        "metrics": f"metrics-{ref}",
        "guest_metrics": NULL,
        "parent": NULL,
        "children": [],
        "VCPUs_max": "2",
        "VBDs": [],
        "VIFs": [],
        "other_config": {},
        "user_version": "1",
    }
    return record | fields


def host(ref: str, **fields: Any) -> dict[str, Any]:
    return {"uuid": f"uuid-{ref}", "name_label": ref, "enabled": True, "other_config": {}, "resident_VMs": []} | fields


VMS, HOSTS = ["v1", "v2", "v3"], ["h1", "h2"]
VM_RECORDS = st.builds(
    lambda ref, **fields: ("VM", ref, vm(ref, **fields)),
    st.sampled_from(VMS),
    is_a_template=st.booleans(),
    name_label=st.sampled_from(["a", "b"]),
    user_version=st.sampled_from(["1", "2"]),
    power_state=st.sampled_from(["Halted", "Running", "Paused"]),
    resident_on=st.sampled_from([*HOSTS, NULL]),
    affinity=st.sampled_from([*HOSTS, NULL]),
    guest_metrics=st.sampled_from(["g1", "g2", NULL]),
    parent=st.sampled_from([*VMS, NULL]),
    children=st.lists(st.sampled_from(VMS), max_size=2, unique=True),
    VBDs=st.lists(st.sampled_from(["b1", "b2"]), unique=True),
    VCPUs_max=st.sampled_from("0123"),
    other_config=st.sampled_from([{}, {"pinned": "1"}, {"pinned": "0 1"}]),
)
HOST_RECORDS = st.builds(
    lambda ref, **fields: ("host", ref, host(ref, **fields)),
    st.sampled_from(HOSTS),
    enabled=st.booleans(),
    uuid=st.sampled_from(["x", "y"]),
    resident_VMs=st.lists(st.sampled_from(VMS)),
)
METRICS = st.builds(
    lambda ref, start, updated: ("VM_metrics", f"metrics-{ref}", {"start_time": start, "last_updated": updated}),
    st.sampled_from(VMS),
    st.sampled_from([NOW, datetime(1970, 1, 1, tzinfo=UTC)]),
    st.datetimes(),
)
GUEST_METRICS = st.builds(
    lambda ref, name: ("VM_guest_metrics", ref, {"os_version": {"name": name}}),
    st.sampled_from(["g1", "g2"]),
    st.sampled_from("pq"),
)
VBDS = st.builds(
    lambda ref, at, owner: ("VBD", ref, {"uuid": ref, "userdevice": at, "VM": owner}),
    st.sampled_from(["b1", "b2"]),
    st.sampled_from("01"),
    st.sampled_from([*VMS, NULL]),
)
POOLS = st.builds(lambda master: ("pool", "p", {"uuid": "p", "master": master}), st.sampled_from(HOSTS))
TASKS = st.builds(
    lambda ref, other: ("task", ref, {"uuid": ref, "name_label": "x", "status": "pending", "other_config": other}),
    st.sampled_from(["t1", "t2"]),
    st.sampled_from(
        [
            {},
            {"xen-cim:job": "Xen_SystemStateChangeJob", "xen-cim:affected_vm": "v1"},
            {"xen-cim:job": "Xen_SystemStateChangeJob", "xen-cim:affected_vm": "v2"},
            {"xen-cim:job": "Xen_SystemStateChangeJob", "xen-cim:affected_host": "h1"},
        ]
    ),
)
RECORDS = VM_RECORDS | HOST_RECORDS | METRICS | GUEST_METRICS | VBDS | TASKS | POOLS
GONE = st.tuples(
    st.sampled_from(
        [
            ("VM", "v1"),
            ("VM", "v2"),
            ("host", "h1"),
            ("VM_guest_metrics", "g1"),
            ("task", "t1"),
            ("VBD", "b1"),
            ("pool", "p"),
        ]
    )
).map(lambda each: (*each[0], None))
BATCHES = st.lists(st.lists(RECORDS | GONE, max_size=4), max_size=6)


def following(version: Version, batch: list[tuple[str, str, Any]]) -> tuple[Version, list[Change]]:
    """Apply a batch as the inventory does."""
    tables = {cls: dict(table) for cls, table in version.tables.items()}
    latest = {(cls, ref): record for cls, ref, record in batch}
    changes = []
    for (cls, ref), record in latest.items():
        before = tables.setdefault(cls, {}).get(ref)
        if before == record:
            continue
        if record is None:
            del tables[cls][ref]
        else:
            tables[cls][ref] = record
        operation = Operation.ADD if before is None else Operation.DEL if record is None else Operation.MOD
        changes.append(Change(cls, ref, operation, before, record))
    return Version(version.number + 1, str(version.number + 1), tables), changes


def content(view: XenView, classes: Sequence[MappedClass]) -> dict[str, list[Any]]:
    """What a view serves, less the time of the last change, which a fresh view cannot know."""
    return {
        mapped.name: sorted(
            repr({name: value for name, value in each.properties.items() if name != "TimeOfLastStateChange"})
            for each in view.instances(mapped.name)
        )
        for mapped in classes
    }


def some(classes: Sequence[MappedClass], seed: random.Random) -> Sequence[MappedClass]:
    """Choose classes to look at: of a large model others in each example, for all of them would take minutes."""
    return seed.sample(classes, min(len(classes), 15))


def source(view: XenView, instance: Any) -> str | None:
    """The object that is found by the name of an instance."""
    found = view.record(instance.name)
    return None if found is None else found[0]


@pytest.mark.parametrize("model", [Model(each) for each in MODELS.values()], ids=MODELS)
@settings(max_examples=100, deadline=None)
@given(batches=BATCHES, seed=st.randoms(use_true_random=False))
def test_step_by_step_equals_afresh(model, batches, seed):
    classes = some([each.mapped for each in model.classes.values()], seed)
    version = Version(0, "", {})
    view = XenView.first(model, version)
    for batch in batches:
        version, changes = following(version, batch)
        before = {mapped.name: view.instances(mapped.name) for mapped in classes if seed.random() < 0.5}
        earlier = view
        view, steps = view.following(version, changes, NOW)
        assert content(view, classes) == content(XenView.first(model, version), classes)
        for name, old in before.items():
            new = view.instances(name)
            assert (new is old) == ([each.properties for each in new] == [each.properties for each in old])
            for same in (each.name for each in old if source(earlier, each) == source(view, each) is not None):
                instance = earlier.instance(same)
                if instance.properties == view.instance(same).properties:
                    assert view.instance(same) is instance
            if new is not old:
                assert steps[name.lower()]


@pytest.mark.parametrize("model", [Model(each) for each in MODELS.values()], ids=MODELS)
@settings(max_examples=100, deadline=None)
@given(batches=BATCHES, seed=st.randoms(use_true_random=False))
def test_names_and_associations_lead_where_enumeration_says(model, batches, seed):
    classes = some([each.mapped for each in model.classes.values()], seed)
    version = Version(0, "", {})
    view = XenView.first(model, version)
    for batch in batches:
        version, changes = following(version, batch)
        view, _ = view.following(version, changes, NOW)
    ends = {target.name: target for mapped in classes for end in mapped.ends.values() for target in end.classes}
    plain = {mapped.name: mapped for mapped in classes if not mapped.ends} | ends
    everything = [each for name in plain for each in view.instances(name)]
    # Two hosts with one uuid have one name; nobody can tell them apart by it.
    unique = [each for each in everything if sum(other.name == each.name for other in everything) == 1]
    for mapped in classes:
        pairs = view.instances(mapped.name)
        names = [pair.name for pair in pairs]
        for each in pairs:
            if names.count(each.name) == 1:
                assert view.instance(each.name) is each
        for role in mapped.ends:
            for end in unique:
                expected = [pair for pair in pairs if pair.properties[role] == end.name]
                assert list(view.references(mapped.name, end.name, role)) == expected
                spelled = InstanceName(end.name.class_name.upper(), tuple((k.upper(), v) for k, v in end.name.keys))
                assert list(view.references(mapped.name.lower(), spelled, role.upper())) == expected
    for each in unique:
        assert view.instance(each.name) is each


def simple_view(*records: tuple[str, str, Any]) -> XenView:
    version, _ = following(Version(0, "", {}), list(records))
    return XenView.first(MODEL, version)


def test_names_need_all_keys_and_no_others():
    view = simple_view(("VM", "v1", vm("v1")))
    (system,) = view.instances("Xen_ComputerSystem")
    cls, name = system.name.keys
    assert view.instance(InstanceName("xen_computersystem", (name, cls))) is system
    assert view.instance(InstanceName("Xen_ComputerSystem", (cls, name, ("Extra", "x")))) is system
    assert view.instance(InstanceName("Xen_ComputerSystem", (name,))) is None
    assert view.instance(InstanceName("Xen_ComputerSystem", (("CreationClassName", "Xen_Carpet"), name))) is None
    assert view.instance(InstanceName("Xen_ComputerSystem", (cls, ("Name", "UUID-V1")))) is None
    assert view.instance(InstanceName("Xen_Carpet", (cls, name))) is None
    assert view.instances("Xen_Carpet") == ()
    assert view.references("Xen_Carpet", system.name) == ()


def test_samples_touch_nothing():
    version, _ = following(
        Version(0, "", {}), [("VM", "v1", vm("v1")), ("VM_metrics", "metrics-v1", {"memory_actual": "1"})]
    )
    view = XenView.first(MODEL, version)
    version, changes = following(version, [("VM_metrics", "metrics-v1", {"memory_actual": "2"})])
    view.instances("Xen_ComputerSystem")
    after, steps = view.following(version, changes, NOW)
    assert changes
    assert steps == {}
    assert after.instances("Xen_ComputerSystem") is view.instances("Xen_ComputerSystem")


def test_samples_show_and_touch_only_what_shows_them():
    model = Model(PARTS)
    assert model.sampled == {"xen_processor": {"VM_metrics"}, "xen_even": {"VM_metrics"}}
    version, _ = following(
        Version(0, "", {}), [("VM", "v1", vm("v1")), ("VM_metrics", "metrics-v1", {"memory_actual": "1"})]
    )
    view = XenView.first(model, version)
    systems = view.instances("Xen_System")
    assert [each.get("Load") for each in view.instances("Xen_Processor")] == ["1", "1"], "nothing better is known"
    later = view.sampled({"VM_metrics": {"metrics-v1": {"memory_actual": "2"}}})
    assert [each.get("Load") for each in later.instances("Xen_Processor")] == ["2", "2"]
    assert [each.get("Load") for each in view.instances("Xen_Processor")] == ["1", "1"]
    assert later.instances("Xen_System") is systems

    version, changes = following(version, [("VM", "v1", vm("v1", VCPUs_max="3"))])
    _, steps = later.following(version, changes, NOW, {"xen_processor"})
    ((before, after),) = steps["xen_processor"]
    assert before is None
    assert after.instance.get("ID") == "uuid-v1/2"


@pytest.mark.parametrize("state", ["Running", "Paused", "Crashed"])
def test_a_state_is_as_old_as_its_last_change(state):
    start = datetime(2025, 5, 5, tzinfo=UTC)
    records = [("VM", "v1", vm("v1", power_state=state)), ("VM_metrics", "metrics-v1", {"start_time": start})]
    version, _ = following(Version(0, "", {}), records)
    view = XenView.first(MODEL, version)
    (first,) = view.instances("Xen_ComputerSystem")
    assert first.properties["TimeOfLastStateChange"] == start

    version, changes = following(version, [("VM", "v1", vm("v1", power_state=state, name_label="renamed"))])
    view, _ = view.following(version, changes, NOW)
    assert view.instances("Xen_ComputerSystem")[0].properties["TimeOfLastStateChange"] == start

    version, changes = following(version, [("VM", "v1", vm("v1", power_state="Suspended"))])
    view, _ = view.following(version, changes, NOW)
    assert view.instances("Xen_ComputerSystem")[0].properties["TimeOfLastStateChange"] == NOW


def test_a_state_that_nobody_saw_change_has_no_time():
    view = simple_view(("VM", "v1", vm("v1")), ("VM_metrics", "metrics-v1", {"start_time": NOW}))
    assert "TimeOfLastStateChange" not in view.instances("Xen_ComputerSystem")[0].properties


class TestExpressions:
    """Paths and what is read there."""

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("name_label", ("name_label",)),
            ("metrics.start_time", ("metrics", "start_time")),
            ("other_config/a.b/c", ("other_config/a.b/c",)),
            ("host.other_config/owner", ("host", "other_config/owner")),
        ],
    )
    def test_paths(self, text, path):
        assert parse_path(text) == path

    def test_a_conversion_is_not_asked_about_nothing(self):
        expression = value("a", lambda found: found.upper())
        assert expression.function(None) is None
        assert expression.function("x") == "X"

    def test_joined_expressions_keep_their_own_values(self):
        both = joined(lambda *values: values, [computed(lambda a, b: a + b, "a", "b"), value("c")])
        assert both.paths == (("a",), ("b",), ("c",))
        assert both.function(1, 2, 3) == (3, 3)
        assert both.under(("r",)).paths[0] == ("r", "a")

    def test_an_unknown_reference_is_refused_at_once(self):
        mapped = MappedClass("Xen_X", "CIM_X", "VM", {"A": key(string("carpet.uuid"))})
        with pytest.raises(ValueError, match="carpet of the class VM is not declared"):
            Model([mapped])

    def test_fields_that_a_server_does_not_have_are_null(self):
        mapped = MappedClass(
            "Xen_X",
            "CIM_X",
            "VM",
            {
                "ID": key(string("uuid")),
                "A": string("carpet"),
                "B": string("carpet/key"),
                "C": strings("children.uuid"),
            },
        )
        view = XenView.first(Model([mapped]), Version(1, "", {"VM": {"v": {"uuid": "1"}}}))
        assert view.instances("Xen_X")[0].properties == {"ID": "1"}
