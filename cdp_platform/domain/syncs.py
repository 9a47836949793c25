"""What a sync is: source model → destination object, by a mapping and a mode."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from cdp_platform.domain.partitions import Partitioning
from cdp_platform.domain.permission import ConsentRule

NO_PURPOSE = "none"
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")


class Mode(StrEnum):
    """Which rows a sync may create, change or remove."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    MIRROR = "mirror"
    APPEND = "append"


class Removal(StrEnum):
    """What happens at the destination to a record that left the source model of a mirror, or is left by a merge."""

    KEEP = "keep"
    DELETE = "delete"
    ARCHIVE = "archive"
    CLEAR = "clear"
    """The record stays; the mapped fields other than the match key are emptied."""


class FirstRun(StrEnum):
    """What a sync does with rows that its ledger has never seen while the ledger is new."""

    SEND_ALL = "send_all"
    BASELINE = "baseline"
    """Take the present rows as delivered and send nothing."""


class FieldPolicy(StrEnum):
    """When a mapped field is written over what the destination holds."""

    OVERWRITE = "overwrite"
    FILL_EMPTY = "fill_empty"
    """Only where the destination has nothing."""
    RESPECT_EDITS = "respect_edits"
    """Not where somebody has changed it there since it was last delivered."""


class FieldKind(StrEnum):
    """The types a mapped field may be declared as; `decimal` carries precision and scale."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, kw_only=True)
class FieldType:
    """A declared type. `precision` and `scale` are digits, set for decimals only."""

    kind: FieldKind
    precision: int = 0
    scale: int = 0

    @classmethod
    def parse(cls, text: str) -> "FieldType":
        """Read `text`, `integer`, `boolean`, `date`, `timestamp` or `decimal(12,2)`; raise ValueError otherwise."""
        compact = text.replace(" ", "").lower()
        if match := _DECIMAL.fullmatch(compact):
            return cls(kind=FieldKind.DECIMAL, precision=int(match[1]), scale=int(match[2]))
        if compact == FieldKind.DECIMAL:
            raise ValueError("a decimal needs its precision and scale, as in decimal(12,2)")
        return cls(kind=FieldKind(compact))

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.kind is FieldKind.DECIMAL else self.kind.value


@dataclass(frozen=True, kw_only=True)
class FieldMapping:
    """One column of the source model → one field of the destination's object."""

    column: str
    field: str
    type: FieldType | None = None
    """None: taken from the column's own type in the warehouse."""
    match_key: bool = False
    """The field by which the destination finds its record."""
    after_withdrawal: bool = False
    """Still written once the permission is withdrawn: the opt-out itself and what follows from it."""
    personal: bool = True
    """Masked wherever people look at plans; False for values that tell nobody who somebody is."""
    policy: FieldPolicy = FieldPolicy.OVERWRITE


class Grant(StrEnum):
    """How a token endpoint is asked for an access token."""

    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    CLIENT_CREDENTIALS = "client_credentials"
    JWT_BEARER = "jwt_bearer"
    """RFC 7523: the client signs who it is with its private key, and no secret travels."""


@dataclass(frozen=True, kw_only=True)
class OAuth:
    """Access by OAuth 2 tokens. Its secrets are names of environment variables, read when a token is asked for."""

    token_url: str
    """The vendor's token endpoint: https, or http on this machine."""
    grant: Grant
    client_id_env: str
    client_secret_env: str
    """For `jwt_bearer`: of the private key, as PEM or as the path of a file that holds it."""
    refresh_token_env: str | None = None
    """Set for the grant `refresh_token` and for no other."""
    scope: str | None = None
    """Words of permissions, separated by spaces; None: what the client was given."""
    subject: str | None = None
    """For `jwt_bearer`: the user in whose name the client acts."""
    audience: str | None = None
    """For `jwt_bearer`: who the assertion is for, as the vendor's page says; None: the token URL's host."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One account of a destination: its credentials by reference, its base URL, its entity."""

    name: str
    vendor: str
    """The destination's name in the registry."""
    token_env: str | None = None
    """Name of the environment variable that holds the token; read when a request is made."""
    oauth: OAuth | None = None
    """Tokens that are fetched and renewed, in place of `token_env`."""
    base_url: str | None = None
    """None: the vendor's own address."""
    base_url_env: str | None = None
    """Name of an environment variable that, where set, replaces `base_url`."""
    entity: str = "default"
    """Brand × market, as it stands in the consents."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What else the destination has to be told, by name: an organisation, an ad account. Never a secret."""
    environment: str = "local"


@dataclass(frozen=True, kw_only=True)
class Consent:
    """Which consent a row must carry: of the identifier in `identifier_column`, by channel and purpose."""

    entity: str
    purpose: str
    channel: str
    identifier_column: str
    """The source model's column that holds the identifier; compared in lower case, without blanks around it."""
    relation: str
    """The consents table in the warehouse, as `schema.table`."""
    suppressions: str | None = None
    """The table of those who must never be contacted, as `schema.table`; None only where the YAML says so."""
    rule: ConsentRule = ConsentRule.OPT_IN
    """What the market asks for on this channel."""


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """What the destination was seen to hold: a table with a row a record and reading."""

    relation: str
    """As `schema.table`."""
    key: str
    """The column with the record's match value."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """By field: the column that shows it; a field that is not named has a column of its own name."""
    read_at: str = "read_at"
    """The column with the time of the reading."""
    max_age_hours: int = 36
    """Older than this it proves nothing, and the plan is stopped."""

    def column_of(self, name: str) -> str:
        """The column that shows a field."""
        return self.columns.get(name, name)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When to stop and ask. Shares are 0 to 1 of what the ledger holds or the last good run saw."""

    removed_share: float = 0.15
    removed_rows: int = 100
    """A plan that removes no more rows than this passes whatever the share."""
    shrunk_share: float = 0.5
    """The model, the consents or the suppressions may lose at most this share of rows against the last good run."""
    rejected_share: float = 0.05
    """More rejected rows than this fail the run's check; fewer warn."""
    scanned_bytes: int | None = None
    """The most bytes that a plan may scan, where the warehouse can say so beforehand; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class MemberTable:
    """A table with one row per person, and what a sync of an audience takes from it."""

    relation: str
    """`schema.table`."""
    person_key: str
    columns: tuple[tuple[str, str], ...]
    """The source's column, and the table's that it comes from."""


@dataclass(frozen=True, kw_only=True)
class MemberView:
    """What a sync of an audience reads: its members, with columns of people."""

    members: str
    """`schema.view` with `person_id` and `entered_on` of the members that are not held out."""
    tables: tuple[MemberTable, ...]
    """The first holds all people; who is not in it is no row."""


@dataclass(frozen=True, kw_only=True)
class SyncSpec:
    """A sync as it was declared. Two syncs with equal `mapping_version` encode rows alike."""

    name: str
    source_model: str
    relation: str
    """The source model's table, as `schema.table`."""
    primary_key: str
    connection: Connection
    object: str
    mode: Mode
    mapping: tuple[FieldMapping, ...]
    removal: Removal = Removal.KEEP
    first_run: FirstRun = FirstRun.SEND_ALL
    needs_approval: bool = False
    """Whether a person must approve each plan before it is sent."""
    consent: Consent | None = None
    """None only where the YAML says `purpose: none`."""
    limits: Limits = field(default_factory=Limits)
    read_back: ReadBack | None = None
    """Set where a field has a policy other than to overwrite."""
    key_moves: str | None = None
    """The log of merged persons, as `schema.table`, whose ids the primary key holds; None: keys never move."""
    declared_in: str = ""
    """The YAML file, for messages."""
    audiences: tuple[str, ...] = ()
    """The audiences that the source model's rows come from, directly or by the models above it."""
    view: MemberView | None = None
    """Set where the source model is an audience: what `relation` is made of when a plan is made."""
    partitioning: Partitioning | None = None
    """None: each run reads the whole source model."""

    @property
    def match_key(self) -> FieldMapping:
        """The mapping entry by which the destination finds its record."""
        return next(entry for entry in self.mapping if entry.match_key)

    @property
    def mapping_version(self) -> str:
        """Twelve hexadecimal digits that change with the mapping, the mode, the consent or the source."""
        parts = {
            "relation": self.relation,
            "primary_key": self.primary_key,
            "object": self.object,
            "mode": self.mode,
            "removal": self.removal,
            "mapping": [_told(entry) for entry in self.mapping],
            "consent": asdict(self.consent) if self.consent else None,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _told(entry: FieldMapping) -> dict[str, object]:
    """An entry as `mapping_version` knows it: a policy of its own is part of it, the ordinary one is not."""
    is_ordinary = entry.policy is FieldPolicy.OVERWRITE
    return {name: value for name, value in asdict(entry).items() if not (is_ordinary and name == "policy")}
