"""The account that a `defs.yaml` names: the same words in a sync and in its read-back."""

from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from cdp_platform.connectors.transport import check_base_url
from cdp_platform.domain.syncs import Connection, Grant, OAuth
from cdp_platform.errors import ConfigError


def _as_text(value: Any) -> Any:
    """Say every value as text: a number in quotes comes out of Dagster's templates as a number."""
    is_plain = isinstance(value, dict)
    return (
        {name: str(one) if isinstance(one, int | float) else one for name, one in value.items()} if is_plain else value
    )


Options = Annotated[dict[str, str], BeforeValidator(_as_text)]


class OAuthAccess(dg.Model, dg.Resolvable):
    """Access by OAuth 2: tokens are fetched and renewed. Secrets are named here and stand in the environment."""

    token_url: str = Field(description="The vendor's token endpoint: https://, or http:// on this machine.")
    grant: Literal["refresh_token", "client_credentials", "jwt_bearer"] = Field(description="How a token is asked for.")
    client_id_env: str = Field(description="Name of the variable that holds the client's id.")
    client_secret_env: str = Field(
        description="Name of the variable that holds the client's secret; for jwt_bearer the private key, or its file."
    )
    refresh_token_env: str | None = Field(
        default=None,
        validate_default=True,
        description="Name of the variable that holds the refresh token, for the grant of that name.",
    )
    scope: str | None = Field(default=None, description="Permissions asked for; left out: those that the client has.")
    subject: str | None = Field(
        default=None, validate_default=True, description="For jwt_bearer: the user in whose name the client acts."
    )
    audience: str | None = Field(
        default=None, description="For jwt_bearer: whom the assertion is for; left out: the token URL's host."
    )

    @field_validator("token_url")
    @classmethod
    def _allowed_url(cls, value: str) -> str:
        try:
            check_base_url(value, "token_url")
        except ConfigError as error:
            raise ValueError(error.what) from None
        return value

    @field_validator("refresh_token_env")
    @classmethod
    def _only_where_it_is_used(cls, value: str | None, info: ValidationInfo) -> str | None:
        grant = info.data.get("grant")
        if grant is not None and (grant == Grant.REFRESH_TOKEN.value) != (value is not None):
            raise ValueError("the grant refresh_token needs the name of a variable here, and no other grant has one")
        return value

    @field_validator("subject")
    @classmethod
    def _of_the_assertion(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (info.data.get("grant") == Grant.JWT_BEARER.value) != (value is not None):
            raise ValueError("the grant jwt_bearer needs the name of a user here, and no other grant has one")
        return value

    def as_oauth(self) -> OAuth:
        """The same as the connectors know it."""
        return OAuth(
            token_url=self.token_url,
            grant=Grant(self.grant),
            client_id_env=self.client_id_env,
            client_secret_env=self.client_secret_env,
            refresh_token_env=self.refresh_token_env,
            scope=self.scope,
            subject=self.subject,
            audience=self.audience,
        )


class DestinationAccount(dg.Model, dg.Resolvable):
    """One account of a destination and one object in it."""

    name: str = Field(description="The destination's name, as hubspot.")
    object: str = Field(description="The object in it, as contacts.")
    connection: str | None = Field(default=None, description="The connection's name; left out: the destination's.")
    token_env: str | None = Field(default=None, description="Name of the variable that holds the token.")
    oauth: OAuthAccess | None = Field(default=None, description="OAuth 2, in place of `token_env`.")
    base_url: str | None = Field(default=None, description="Address of the account; left out: the vendor's own.")
    base_url_env: str | None = Field(default=None, description="Name of a variable that, where set, replaces it.")
    options: Options = Field(
        default_factory=dict, description="What else this destination has to be told, as organization_id; no secrets."
    )
    entity: str = Field(default="default", description="Brand and market that the account belongs to.")

    @field_validator("oauth")
    @classmethod
    def _only_credential(cls, value: OAuthAccess | None, info: ValidationInfo) -> OAuthAccess | None:
        if value is not None and info.data.get("token_env") is not None:
            raise ValueError("an account has either `token_env` or `oauth`, not both")
        return value

    def as_connection(self) -> Connection:
        """The connection as the connectors know it."""
        return Connection(
            name=self.connection or self.name,
            vendor=self.name,
            token_env=self.token_env,
            oauth=self.oauth.as_oauth() if self.oauth else None,
            base_url=self.base_url,
            base_url_env=self.base_url_env,
            options=self.options,
            entity=self.entity,
        )
