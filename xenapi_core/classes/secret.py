"""A text that is kept for others to use without its being told: a password, for example."""

from __future__ import annotations

from xenapi_core.datamodel import POOL_OPERATOR, READ_ONLY, RO, RW, Call, XenClass, field, message
from xenapi_core.datamodel.refs import SecretRef


class secret(XenClass, role=POOL_OPERATOR, readers=POOL_OPERATOR, creatable=True, destroyable=True):
    """A text that is kept for others to use without its being told: a password, for example."""

    uuid: str = field(RO, doc="unique identifier of the object")
    value: str = field(RW, doc="the text")
    other_config: dict[str, str] = field(RW, default={}, doc="free for clients")

    @message(role=READ_ONLY)
    def get_other_config(call: Call, self: SecretRef) -> dict[str, str]:
        """Get the field other_config of the secret."""
        found: dict[str, str] = call.store.durable.record(self, "secret")["other_config"]
        return found
