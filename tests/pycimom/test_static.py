"""Instances kept by the server itself, and what the interop namespace tells."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cim_provider import CimError, Context, Instance, InstanceName, Principal, Status
from pycimom.instance_store import InstanceStore, Origin, StoreError
from pycimom.interop import InteropProvider, ServerIdentity
from pycimom.repository import NamespaceClasses, Repository
from pycimom.static import StaticProvider, StaticView

CONTEXT = Context(Principal("alice", may_administer=True), "root/cimv2", "192.0.2.1")

NAMES = st.builds(
    lambda key, value: InstanceName("Test_Thing", (("Id", value), ("Other", key)), "root/cimv2"),
    st.text(max_size=5),
    st.one_of(st.text(max_size=5), st.integers(), st.booleans()),
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=9999)),
    NAMES,
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3))),
)


def system(name: str, **properties: object) -> Instance:
    return Instance("Test_System", {"CreationClassName": "Test_System", "Name": name, **properties})


def component(whole: InstanceName, part: InstanceName) -> Instance:
    return Instance("Test_SystemComponent", {"GroupComponent": whole, "PartComponent": part})


class TestStore:
    @settings(deadline=None)  # it waits for a disk
    @given(properties=st.dictionaries(st.text("abc", min_size=1, max_size=3), VALUES), name=NAMES)
    def test_values_come_back(self, tmp_path_factory: pytest.TempPathFactory, properties: dict, name: InstanceName):
        path = tmp_path_factory.mktemp("store") / "instances.db"
        inner = Instance("Test_Inner", properties, name)
        store = InstanceStore(path)
        store.put("root/cimv2", Instance("Test_Thing", {**properties, "Inner": inner}, name), Origin("bob", "::1"))
        store.close()
        store = InstanceStore(path)
        ((found, origin),) = store.load("ROOT/cimv2")
        store.close()
        assert origin == Origin("bob", "::1")
        assert (found.class_name, found.name) == ("Test_Thing", name)
        embedded = found.properties["Inner"]
        assert isinstance(embedded, Instance)
        assert embedded.properties == properties
        assert embedded.name == name

    def test_the_file_is_private_and_has_a_format(self, tmp_path: Path):
        path = tmp_path / "folder" / "instances.db"
        InstanceStore(path).close()
        assert path.stat().st_mode & 0o777 == 0o600
        with sqlite3.connect(path) as connection:
            assert connection.execute("pragma user_version").fetchone() == (3,)
            connection.execute("pragma user_version = 99")
        connection.close()
        with pytest.raises(StoreError, match="newer version"):
            InstanceStore(path)


class TestProvider:
    @pytest.fixture
    async def provider(self, repository: Repository, tmp_path: Path):
        self.path = tmp_path / "instances.db"
        self.classes = NamespaceClasses(repository, "root/cimv2")
        return await self.started()

    async def started(self) -> StaticProvider:
        fixed = Instance(
            "Test_System",
            {"CreationClassName": "Test_System", "Name": "fixed"},
            InstanceName("Test_System", (("CreationClassName", "Test_System"), ("Name", "fixed"))),
        )
        names = ("Test_System", "Test_SystemComponent")
        provider = StaticProvider(self.classes, names, InstanceStore(self.path), [fixed])
        await provider.start()
        return provider

    async def test_what_is_created_is_there_after_a_restart(self, provider: StaticProvider):
        name = await provider.create_instance(CONTEXT, system("one", weight=3, Since=datetime(2024, 1, 1, tzinfo=UTC)))
        assert (name.get("name"), name.namespace) == ("one", "root/cimv2")
        again = await self.started()
        for view in (provider.view(), again.view()):
            found = view.instance(name)
            assert found is not None
            assert found.properties["Weight"] == 3
            assert found.properties["Since"] == datetime(2024, 1, 1, tzinfo=UTC)
            assert [each.properties["Name"] for each in view.instances("test_system")] == ["fixed", "one"]
        assert again.origin(name) == Origin("alice", "192.0.2.1")

    async def test_defaults_of_the_class_are_filled_in(self, provider: StaticProvider):
        name = await provider.create_instance(CONTEXT, system("one"))
        assert provider.view().instance(name).properties["Weight"] == 7

    @pytest.mark.parametrize(
        ("instance", "status"),
        [
            (system("one"), Status.ALREADY_EXISTS),
            (system("fixed"), Status.ALREADY_EXISTS),
            (system("two", Nonsense=1), Status.INVALID_PARAMETER),
            (Instance("Test_System", {"Name": "two"}), Status.INVALID_PARAMETER),
            (Instance("Test_Nothing", {}), Status.INVALID_CLASS),
        ],
    )
    async def test_what_cannot_be_created(self, provider: StaticProvider, instance: Instance, status: Status):
        await provider.create_instance(CONTEXT, system("one"))
        before = provider.view()
        with pytest.raises(CimError) as error:
            await provider.create_instance(CONTEXT, instance)
        assert error.value.status is status
        assert provider.view() is before

    async def test_modify_follows_the_property_list(self, provider: StaticProvider):
        name = await provider.create_instance(CONTEXT, system("one", Weight=3, Ratio=0.5, Modes=[1]))
        await provider.modify_instance(CONTEXT, name, {"ratio": 1.5, "Modes": None}, None)
        found = provider.view().instance(name)
        assert (found.get("Ratio"), found.get("Modes"), found.get("Weight")) == (1.5, None, 3)
        await provider.modify_instance(CONTEXT, name, {"Ratio": 9.0}, ["WEIGHT"])
        found = (await self.started()).view().instance(name)
        assert (found.get("Ratio"), found.get("Weight")) == (1.5, 7)
        with pytest.raises(CimError) as error:
            await provider.modify_instance(CONTEXT, name, {"Name": "other"}, None)
        assert error.value.status is Status.INVALID_PARAMETER

    async def test_delete(self, provider: StaticProvider):
        name = await provider.create_instance(CONTEXT, system("one"))
        await provider.delete_instance(CONTEXT, name)
        assert (await self.started()).view().instance(name) is None
        with pytest.raises(CimError) as error:
            await provider.delete_instance(CONTEXT, name)
        assert error.value.status is Status.NOT_FOUND
        with pytest.raises(CimError) as error:
            await provider.delete_instance(CONTEXT, system_name("fixed"))
        assert error.value.status is Status.ACCESS_DENIED

    async def test_associations_are_found_from_both_ends(self, provider: StaticProvider):
        one = await provider.create_instance(CONTEXT, system("one"))
        two = await provider.create_instance(CONTEXT, system("two"))
        link = await provider.create_instance(CONTEXT, component(one, two))
        view = provider.view()
        assert [each.name for each in view.references("test_systemcomponent", one)] == [link]
        assert [each.name for each in view.references("Test_SystemComponent", one, "groupcomponent")] == [link]
        assert list(view.references("Test_SystemComponent", one, "PartComponent")) == []
        assert [each.name for each in view.references("Test_SystemComponent", two)] == [link]

    async def test_views_never_change_and_share_what_did_not(self, provider: StaticProvider):
        await provider.create_instance(CONTEXT, system("one"))
        before = provider.view()
        systems = before.instances("Test_System")
        one = before.instances("Test_System")[1].name
        await provider.create_instance(CONTEXT, component(one, one))
        assert provider.view().instances("Test_System") is systems
        assert before.instances("Test_SystemComponent") == ()


def system_name(name: str) -> InstanceName:
    return InstanceName("Test_System", (("CreationClassName", "Test_System"), ("Name", name)))


class TestInterop:
    @pytest.fixture
    def view(self, repository: Repository) -> StaticView:
        self.provider = InteropProvider(repository, ServerIdentity("host.example", "1.2.3"))
        return self.provider.view()

    def test_there_is_exactly_one_object_manager(self, view: StaticView):
        (manager,) = view.instances("CIM_ObjectManager")
        assert manager.get("Description").endswith(" version 1.2.3")
        assert view.instance(manager.name) is manager

    def test_every_namespace_is_told(self, view: StaticView, repository: Repository):
        names = [each.get("Name") for each in view.instances("CIM_Namespace")]
        assert names == list(repository.namespaces())
        (manager,) = view.instances("CIM_ObjectManager")
        links = view.references("CIM_NamespaceInManager", manager.name, "Antecedent")
        assert [each.get("Dependent").get("Name") for each in links] == names

    def test_instances_are_as_their_classes_say(self, view: StaticView, repository: Repository):
        for class_name in self.provider.declarations:
            cim_class = repository.get("root/interop", class_name)
            for each in view.instances(class_name):
                assert set(each.properties) <= set(cim_class.properties)
                assert {name for name, _ in each.name.keys} == {key.name for key in cim_class.keys}


def test_a_file_of_something_else_is_refused_and_kept(tmp_path):
    path = tmp_path / "instances"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(StoreError, match="not a usable file"):
        InstanceStore(path)
    assert path.read_bytes() == b"something else" * 100
