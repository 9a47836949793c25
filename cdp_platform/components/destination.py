"""The account that a `defs.yaml` names: the same words in a sync and in its read-back."""

import dagster as dg
from pydantic import Field

from cdp_platform.domain.syncs import Connection


class DestinationAccount(dg.Model, dg.Resolvable):
    """One account of a destination and one object in it."""

    name: str = Field(description="The destination's name, as hubspot.")
    object: str = Field(description="The object in it, as contacts.")
    connection: str | None = Field(default=None, description="The connection's name; left out: the destination's.")
    token_env: str | None = Field(default=None, description="Name of the variable that holds the token.")
    base_url: str | None = Field(default=None, description="Address of the account; left out: the vendor's own.")
    base_url_env: str | None = Field(default=None, description="Name of a variable that, where set, replaces it.")
    entity: str = Field(default="default", description="Brand and market that the account belongs to.")

    def as_connection(self) -> Connection:
        """The connection as the connectors know it."""
        return Connection(
            name=self.connection or self.name,
            vendor=self.name,
            token_env=self.token_env,
            base_url=self.base_url,
            base_url_env=self.base_url_env,
            entity=self.entity,
        )
