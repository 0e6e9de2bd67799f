"""What a method or a delete works with: the object it is about, the caller's session, and how to see the effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cim_provider import CimError, InstanceName, MethodResult, Principal, Status, Value
from xen_providers.access import XenPrincipal
from xen_providers.mapping.view import XenView
from xen_providers.methods.outcomes import JOB_STARTED, cim_error
from xen_providers.methods.replica import Replica
from xen_providers.methods.work import METHOD, TARGET, Work, Workshop, mark_job
from xenapi_client import Record, XenApiError, XenApiUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A method or a delete under way."""

    ref: str
    record: Record
    target: InstanceName
    method: str
    """The name of the method; empty for a delete."""
    principal: Principal
    view: XenView
    """What is served as the call begins."""
    replica: Replica
    workshop: Workshop

    async def xen(self, method: str, *parameters: object) -> Any:
        """Call the Xen-API under the caller's session; a refusal becomes the CIM error that says the same."""
        if not isinstance(self.principal, XenPrincipal):
            raise CimError(Status.ACCESS_DENIED, f"{self.principal.name} has no Xen-API session.")
        try:
            return await self.principal.call(method, *parameters)
        except ValueError as error:
            raise CimError(Status.INVALID_PARAMETER, str(error)) from None
        except (XenApiError, XenApiUnavailable) as error:
            raise cim_error(error) from None

    async def download(self, path: str, query: Mapping[str, str]) -> bytes:
        """Read what the Xen-API has at a path, under the caller's session."""
        if not isinstance(self.principal, XenPrincipal):
            raise CimError(Status.ACCESS_DENIED, f"{self.principal.name} has no Xen-API session.")
        try:
            return await self.principal.download(path, query)
        except (XenApiError, XenApiUnavailable) as error:
            raise cim_error(error) from None

    async def do(self, work: Callable[[Work], Awaitable[T]]) -> T:
        """Do work of several steps now: all of it, or nothing."""
        return await self.workshop.do(self.xen, work)

    async def begin(
        self,
        job_class: str,
        work: Callable[[Work], Awaitable[None]],
        details: Mapping[str, str] | None = None,
        first: Callable[[Work], Awaitable[Mapping[str, Value]]] | None = None,
    ) -> MethodResult:
        """Begin work of several steps as a job, and return the method's answer.

        ``details`` go into the other_config of the job's task. ``first`` is done before the method answers, and
        returns its other outputs.
        """
        origin = {**self._origin(), **(details or {})}
        job, outputs = await self.workshop.begin(self.xen, job_class, self.method, work, origin, first or _no_outputs)
        return MethodResult(JOB_STARTED, {"Job": job, **outputs})

    async def follow(self, job_class: str, task: str, details: Mapping[str, str], **outputs: Any) -> MethodResult:
        """Return the method's answer for work that a task of the Xen-API does: the task as a job."""
        job = await mark_job(self.replica, task, job_class, {**self._origin(), **details})
        return MethodResult(JOB_STARTED, {"Job": job, **outputs})

    def _origin(self) -> Mapping[str, str]:
        """Return what a job's task keeps of the method that began it."""
        return {METHOD: self.method, TARGET: str(self.target)}


async def _no_outputs(work: Work) -> Mapping[str, Value]:
    return {}
