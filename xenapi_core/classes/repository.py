"""Where updates of the hosts come from."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, RO, RW, STATIC, Call, XenApiError, XenClass, field, message
from xenapi_core.datamodel.refs import RepositoryRef


class Repository(XenClass):
    """Where updates of the hosts come from."""

    uuid: str = field(RO, doc="unique identifier of the object")
    name_label: str = field(RW, default="", doc="name for people")
    name_description: str = field(RW, default="", doc="notes for people")
    binary_url: str = field(STATIC, default="", doc="where its packages are")
    source_url: str = field(STATIC, default="", doc="where their sources are")
    update: bool = field(STATIC, default=False, doc="whether it holds updates of packages that hosts have")
    hash: str = field(RO, default="", doc="digest of its metadata when they were last fetched")
    up_to_date: bool = field(RO, default=False, doc="no longer used")
    gpgkey_path: str = field(STATIC, default="", doc="the key that its packages are signed with")

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("INVALID_BASE_URL", "REPOSITORY_ALREADY_EXISTS"))
    def introduce(
        call: Call,
        name_label: str,
        name_description: str,
        binary_url: str,
        source_url: str,
        update: bool,
        gpgkey_path: str = "",
    ) -> RepositoryRef:
        """Tell of a repository."""
        if not binary_url.startswith(("http://", "https://")):
            raise XenApiError("INVALID_BASE_URL", binary_url)
        with call.store.write() as change:
            for known in change.records("Repository"):
                if known["binary_url"] == binary_url or known["name_label"] == name_label:
                    raise XenApiError("REPOSITORY_ALREADY_EXISTS", known.ref)
            values = {"name_label": name_label, "name_description": name_description, "binary_url": binary_url}
            more = {"source_url": source_url, "update": update, "gpgkey_path": gpgkey_path}
            return change.create("Repository", values | more)

    @message(role=POOL_OPERATOR, asynchronous=True, errors=("REPOSITORY_IS_IN_USE",))
    def forget(call: Call, self: RepositoryRef) -> None:
        """Forget a repository that the pool does not use."""
        with call.store.write() as change:
            if any(self in pool["repositories"] for pool in change.records("pool")):
                raise XenApiError("REPOSITORY_IS_IN_USE")
            change.destroy(self)

    @message(role=POOL_OPERATOR, asynchronous=True)
    def set_gpgkey_path(call: Call, self: RepositoryRef, value: str) -> None:
        """Set the key that the repository's packages are signed with."""
        with call.store.write() as change:
            change.update(self, gpgkey_path=value)
