"""Random walks: methods of CIM and calls of the Xen-API on one pool, with everything checked after each step.

Whatever happened, in whatever order: the view that followed it equals one computed afresh, the indications explain
each difference, associations lead to what there is, and a method that failed left nothing behind.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog

from cim_provider import CimError, Context, Indication, Instance, InstanceName
from random_changes import CALLS, METHODS, MINE, Method, NothingThereError, Spoiled, filled
from simulated_pool import KEPT, PASSING, PASSWORDS, Pool
from xen_providers.access import XenApiAuthenticator
from xen_providers.indications import INDICATIONS, Lifecycle
from xen_providers.mapping.sources import LAST_CHANGE
from xen_providers.methods.work import UNFINISHED, UNFINISHED_TASK
from xen_providers.provider import CLASSES, XenProvider
from xenapi_client import Connection, Version, XenApiError

ALL = [each.name for each in INDICATIONS]
KINDS: Mapping[tuple[str, Lifecycle], str] = {
    (mapped.name, kind.lifecycle): kind.name
    for mapped in CLASSES
    for kind in reversed(INDICATIONS)
    if kind.is_about(mapped)
}
"""What an indication of each class and lifecycle is called for one who watches all."""
WATCHED = [each for each in CLASSES if (each.name, Lifecycle.CREATION) in KINDS]
TIMES = {
    mapped.name: {
        name for name, each in mapped.properties.items() if any(LAST_CHANGE in path for path in each.expression.paths)
    }
    for mapped in CLASSES
}
"""The properties that tell when something was seen."""
OUR_FAULT = ("MESSAGE_METHOD_UNKNOWN", "MESSAGE_PARAMETER_COUNT_MISMATCH", "FIELD_TYPE_ERROR", "INTERNAL_ERROR")
"""Errors of the Xen-API that say that a test or a provider does not know its messages."""
RUNNING, ENDED = 4, (7, 8, 10)
PATIENCE = 30.0

Content = dict[Any, tuple[str, dict[str, Any]]]
"""By the identity of its name: the class of an instance, and its properties."""
TAKE_AWAY = (
    "DeleteResourcePool",
    "DestroySnapshot",
    "DestroySystem",
    "DetachStoragePool",
    "RemoveResourceSettings",
)
"""Methods that cannot bring back what they have already taken away when they fail: it would be another object."""


WITH_JOBS = ("AddResourceSettings", "CopySystem", "DefineSystem")
Kill = tuple[str, dict[str, Any]]
WAYS_TO_KILL: Sequence[Kill] = (
    ("RequestStateChange", {"RequestedState": 4}),
    ("KillJob", {}),
    ("KillJob", {"DeleteOnKill": True}),
)


@dataclass(frozen=True)
class Change:
    """What is going to be done, in words, and what does it."""

    words: str
    make: Callable[[], Awaitable[Any]]
    is_undone: bool = False
    """Whether nothing has changed if it fails."""


class Witness:
    """Sees each change of the view, and whether the indications tell exactly that."""

    def __init__(self, provider: XenProvider) -> None:
        self.provider = provider
        self.sampled = {each.mapped.name: each.sampled for each in provider._model.classes.values()}
        self.told: list[Indication] = []
        self.faults: list[str] = []
        self.identifiers: set[str] = set()
        provider.watch(ALL, self.told.append)
        self.known = self.watched()
        provider._inventory.listen(self.follow)

    def watched(self) -> Content:
        view = self.provider.view()
        return content(each for mapped in WATCHED for each in view.instances(mapped.name))

    def state(self, instance: Instance) -> dict[str, Any]:
        """Return what an instance shows, less what is sampled."""
        hidden = self.sampled[instance.class_name]
        return {name: value for name, value in instance.properties.items() if name not in hidden}

    def follow(self, _before: Any, after: Version, _changes: Any) -> None:
        """Compare what was told of a change with what it did to the view."""
        told, now = self.told.copy(), self.watched()
        self.told.clear()
        seen = {identity: each for identity, each in self.known.items() if identity not in now or now[identity] != each}
        expected: dict[Any, tuple[str, Any, Any]] = {}
        for identity in {**seen, **{each: None for each in now if each not in self.known}}:
            old, new = self.known.get(identity), now.get(identity)
            lifecycle = (
                Lifecycle.CREATION if old is None else Lifecycle.DELETION if new is None else Lifecycle.MODIFICATION
            )
            cls = (old or new)[0]
            before, source = (each and self.state(Instance(*each)) for each in (old, new))
            if before != source:
                is_change = lifecycle is Lifecycle.MODIFICATION
                expected[identity] = (KINDS[cls, lifecycle], before if is_change else None, source or before)
        self.known = now
        for each in told:
            source, previous = each.instance.get("SourceInstance"), each.instance.get("PreviousInstance")
            fact = (each.class_name, previous and self.state(previous), self.state(source))
            wanted = expected.pop(source.name.identity, None)
            if fact != wanted:
                self.faults.append(f"version {after.number}: told {differing(fact, wanted)} of {source.name}")
            if previous is not None:
                names = {n for n in {**previous.properties, **source.properties} if previous.get(n) != source.get(n)}
                assert names == set(each.instance.get("ChangedPropertyNames"))
                self._check_job(previous, source)
            self.identifiers.add(each.instance.get("IndicationIdentifier"))
        self.faults += [f"version {after.number}: not told: {each}" for each in expected.items()]

    def _check_job(self, previous: Instance, source: Instance) -> None:
        """A job goes forwards, and ends once."""
        states = previous.get("JobState"), source.get("JobState")
        if states[0] is not None and not (states[0] == states[1] or (states[0] == RUNNING and states[1] in ENDED)):
            self.faults.append(f"a job went from {states[0]} to {states[1]}: {source.name}")


def differing(fact: tuple[Any, ...], wanted: tuple[Any, ...] | None) -> str:
    """Return what two facts of the same instance do not share, in words."""
    if wanted is None:
        return f"{fact[0]} for nothing"
    parts = [f"{fact[0]} instead of {wanted[0]}"] if fact[0] != wanted[0] else []
    for one, other in zip(fact[1:], wanted[1:], strict=True):
        names = {name for name in {**(one or {}), **(other or {})} if (one or {}).get(name) != (other or {}).get(name)}
        parts += [f"{name}: {(one or {}).get(name)!r} instead of {(other or {}).get(name)!r}" for name in sorted(names)]
    return "; ".join(parts)


def content(instances: Any) -> Content:
    found: Content = {}
    for each in instances:
        assert each.name.identity not in found, f"two instances are called {each.name}"
        found[each.name.identity] = (each.class_name, plain(each.properties))
    return found


def plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties with embedded instances as what is in them, so that they can be compared."""
    return {
        name: (value.class_name, plain(value.properties)) if isinstance(value, Instance) else value
        for name, value in properties.items()
    }


class Walk:
    """A pool, a provider that follows it, and what is done to both. A walk is the same each time as far as its seed
    decides: what happens at once, or while a job is killed, the clock decides as well.
    """

    def __init__(self, pool: Pool, provider: XenProvider, authenticator: XenApiAuthenticator, seed: int) -> None:
        self.pool, self.provider, self.authenticator = pool, provider, authenticator
        self.random = Random(seed)
        self.xen = Connection(pool.url("unix"), originator="test")
        self.witness = Witness(provider)
        self.before = kept(provider.view().version)
        self.trail: list[str] = []
        """What was done, and what came of it."""

    @classmethod
    @asynccontextmanager
    async def begun(cls, users: Path, seed: int) -> AsyncIterator[Walk]:
        """Make a pool for a walk, and a provider on it."""
        folder = Path(tempfile.mkdtemp(prefix="xen"))
        pool = Pool(folder, Path(shutil.copy2(users, folder / "users")))
        await pool.start()
        provider, authenticator = XenProvider(pool.url("unix")), XenApiAuthenticator(pool.url("http"))
        await provider.start()
        walk = cls(pool, provider, authenticator, seed)
        yield walk
        await walk.xen.close()
        await provider.stop()
        await authenticator.stop()
        await pool.stop()
        shutil.rmtree(folder)

    # What is done

    async def step(self) -> None:
        """Do one of the things that can be done, or several at once."""
        number = self.random.choice([0, 1, 1, 1, 1, 1, 1, 2, 3, 4])
        if not number:
            await self.random.choice([self.sample, self.restart])()
            return
        changes = []
        for kind in self.random.choices(KINDS_OF_CHANGE, k=number):
            try:
                changes.append(kind(self))
            except NothingThereError:
                continue
        outcomes = await asyncio.gather(*(self._outcome(each.make) for each in changes))
        self.trail += [f"{each.words}: {outcome}" for each, outcome in zip(changes, outcomes, strict=True)]
        await self.check(undone=len(changes) == 1 and changes[0].is_undone and outcomes[0] not in (0, "gone"))

    async def sample(self) -> None:
        """Take samples, whose changes nobody is told of."""
        await self.provider.refresh(self.provider.sampled_classes)
        await self.check()

    async def restart(self) -> None:
        """Stop the server and start it again; what changed meanwhile is only seen by reading everything again."""
        await self.pool.stop()
        await self.pool.start()
        self.trail.append("the server was restarted")
        await self.check()

    async def _outcome(self, change: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(PATIENCE):
            try:
                return await change()
            except XenApiError as error:
                if error.code in OUR_FAULT:
                    raise
                return error
            except CimError as error:
                return error

    def a_call(self) -> Change:
        message, *template = self.random.choice(CALLS)
        parameters = filled(template, self.provider.view(), self.random)

        async def make() -> str:
            await self.xen.call(message, *parameters)
            return "done"

        return Change(f"{message}{tuple(parameters)}", make)

    def a_method(self) -> Change:
        method = self.random.choice(METHODS)
        return self._method(method, method.parameters)

    def a_bad_method(self) -> Change:
        method = self.random.choice(METHODS)
        return self._method(method, Spoiled(method))

    def a_killed_job(self) -> Change:
        method = self.random.choice([each for each in METHODS if each.name in WITH_JOBS])
        return self._method(method, method.parameters, kill=self.random.choice(WAYS_TO_KILL))

    def _method(self, method: Method, template: Any, kill: Kill | None = None) -> Change:
        view = self.provider.view()
        targets = [each.name for each in view.instances(method.cls)]
        if not targets:
            raise NothingThereError
        target = self.random.choice(targets)
        parameters = filled(template, view, self.random)
        user = self.random.choice(["root", "root", "root", "operator", "reader"])
        pause = self.random.randint(0, 20) / 1000

        async def make() -> Any:
            result = await self._invoke(user, target, method.name, parameters)
            job = result.outputs.get("Job")
            if job is None:
                return result.value
            if kill is not None:
                await asyncio.sleep(pause)
                await self._invoke("root", job, *kill)
            return await self._end(job)

        words = f"{user}: {method.name}({parameters}) of {target.class_name}"
        if kill is not None:
            words += f", after {pause} s {kill}"
        return Change(words, make, method.name not in TAKE_AWAY)

    async def _invoke(self, user: str, target: InstanceName, method: str, parameters: Mapping[str, Any]) -> Any:
        principal = await self.authenticator.authenticate(user, PASSWORDS[user])
        return await self.provider.invoke_method(Context(principal, "root/cimv2"), target, method, parameters)

    async def _end(self, job: InstanceName) -> Any:
        """Return the state in which a job ended, 0 if all went well."""
        states: list[Any] = []

        def ended() -> bool:
            instance = self.provider.view().instance(job)
            states.append(instance and instance.get("JobState"))
            return states[-1] is None or states[-1] in ENDED

        assert await self.provider._inventory.wait(ended, PATIENCE), f"{job} has not ended"
        return 0 if states[-1] == 7 else states[-1] or "gone"

    # What holds

    async def check(self, *, undone: bool = False) -> None:
        """Check everything; if all that was done was ``undone``, that nothing has changed as well."""
        fresh = await self._caught_up()
        assert not self.witness.faults, "\n".join(self.witness.faults)
        view = self.provider.view()
        names = {each.name.identity for mapped in CLASSES if not mapped.ends for each in view.instances(mapped.name)}
        for mapped in CLASSES:
            for pair in view.instances(mapped.name) if mapped.ends else ():
                for role in mapped.ends:
                    assert pair.properties[role].identity in names, f"{pair.name} leads nowhere as {role}"
        now = kept(view.version)
        if undone:
            assert now == self.before, f"a method that failed changed {changed(self.before, now)}"
        self.before = now
        for cls, records in fresh.tables.items():
            for ref, record in records.items():
                assert not record.get("other_config", {}).get(UNFINISHED, "").endswith(ref), (
                    f"{cls} {ref} is unfinished"
                )

    async def _caught_up(self) -> Version:
        """Compare the view with one made afresh, once both have seen all that happened; return the version of that."""
        await self._quiet()
        while True:
            number = self.provider.view().version.number
            other = XenProvider(self.pool.url("unix"), worker="somebody else")
            await other.start()
            await other.stop()
            await self._settle()
            now, afresh = (
                {mapped.name: self._shown(each.view().instances(mapped.name)) for mapped in CLASSES}
                for each in (self.provider, other)
            )
            if now == afresh or self.provider.view().version.number == number:
                assert now == afresh, changed(afresh, now)
                return other.view().version

    def _shown(self, instances: Any) -> dict[Any, dict[str, Any]]:
        return {
            identity: {
                name: value
                for name, value in properties.items()
                if name not in TIMES[cls] and name not in self.witness.sampled[cls]
            }
            for identity, (cls, properties) in content(instances).items()
        }

    async def _settle(self) -> None:
        while True:
            try:
                (pool,) = await self.xen.call("pool.get_all")
                token = await self.xen.call("event.inject", "pool", pool)
                break
            except XenApiError as error:
                if error.code != "HANDLE_INVALID":
                    raise
        assert await self.provider._inventory.wait_beyond(token, PATIENCE), "the provider does not follow"

    async def _quiet(self) -> None:
        """Wait for the end of all tasks that somebody works at."""
        await self._settle()

        def quiet() -> bool:
            tasks = self.provider.view().version.records("task").values()
            return not any(each["status"] in UNFINISHED_TASK and each["name_label"] != MINE for each in tasks)

        assert await self.provider._inventory.wait(quiet, PATIENCE), "a task does not end"


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return what differs between two contents of a pool, in words."""
    return "; ".join(
        f"{cls} {ref}: {differing(('', old), ('', new)) if old and new else (old, new)}"
        for cls in before
        for ref in {**before[cls], **after[cls]}
        if (old := before[cls].get(ref)) != (new := after[cls].get(ref))
    )


def kept(version: Version) -> dict[str, Any]:
    """Return everything that outlives methods."""
    return {
        cls: {
            ref: {name: value for name, value in record.items() if name not in PASSING}
            for ref, record in version.records(cls).items()
        }
        for cls in KEPT
    }


KINDS_OF_CHANGE = [
    *[Walk.a_call] * 4,
    *[Walk.a_method] * 4,
    Walk.a_bad_method,
    Walk.a_killed_job,
]


@pytest.mark.parametrize(
    ("seeds", "steps"),
    [
        (range(1), 15),
        pytest.param(range(1, 7), 40, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
        pytest.param(range(7, 507), 100, marks=[pytest.mark.soak, pytest.mark.timeout(86400)]),
    ],
    ids=["short", "longer", "full"],
)
async def test_random_walks(users, seeds, steps):
    for seed in seeds:
        with structlog.testing.capture_logs() as logs:
            async with Walk.begun(users, seed) as walk:
                for number in range(steps):
                    try:
                        await walk.step()
                    except Exception as error:
                        error.add_note(f"seed {seed}, step {number}:\n" + "\n".join(walk.trail))
                        raise
        assert [each for each in logs if each["log_level"] in ("error", "critical")] == []
