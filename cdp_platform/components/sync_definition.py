"""What `defs.yaml` may say of a sync, and the spec that the engine makes of it."""

import re
from collections.abc import Sequence
from typing import Literal

import dagster as dg
from pydantic import Field, field_validator

from cdp_platform.components.consent_policy import require_named
from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.read_back import ReadBackRule, check_policies
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.domain.syncs import (
    NO_PURPOSE,
    Consent,
    FieldMapping,
    FieldPolicy,
    FieldType,
    FirstRun,
    Limits,
    Mode,
    Removal,
    SyncSpec,
)
from cdp_platform.errors import ConfigError

NO_SUPPRESSIONS = "none"
_TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){1,2}")


class MappingEntry(dg.Model, dg.Resolvable):
    """One column of the source model → one field of the destination's object."""

    column: str = Field(description="The source model's column; of an audience a trait's name, or `entered_on`.")
    field: str = Field(description="The destination's field.")
    type: str | None = Field(
        default=None, description='Declared type, as "decimal(12,2)"; left out: the column\'s own.'
    )
    match_key: bool = Field(default=False, description="The field by which the destination finds its record.")
    after_withdrawal: bool = Field(default=False, description="Still written once the consent is withdrawn.")
    personal: bool = Field(default=True, description="Masked in previews; false for what tells nobody who it is.")

    policy: Literal["overwrite", "fill_empty", "respect_edits"] = Field(
        default="overwrite",
        description="Write always, only where the destination has nothing, or not over what somebody changed there.",
    )

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                FieldType.parse(value)
            except ValueError:
                raise ValueError("a type is text, integer, decimal(12,2), boolean, date or timestamp") from None
        return value


class ConsentRule(dg.Model, dg.Resolvable):
    """Whose consent is asked for, and where it stands."""

    identifier: str = Field(description="The source model's column that holds the identifier, as email.")
    channel: str = Field(default="email", description="The channel of the consent.")
    consents_model: str = Field(default="consents", description="The dbt model that holds current consents.")
    suppressions_model: str = Field(
        default="suppressions",
        description="The dbt model with those who must never be contacted; `none`, written out, where there is none.",
    )


class SyncLimits(dg.Model, dg.Resolvable):
    """When to stop and ask. Shares are 0 to 1."""

    removed_share: float = Field(default=0.15, ge=0, le=1, description="Largest share of records a run may remove.")
    removed_rows: int = Field(default=100, ge=0, description="Removals up to this number pass whatever the share.")
    shrunk_share: float = Field(default=0.5, ge=0, le=1, description="Largest share of rows the model may lose.")
    rejected_share: float = Field(default=0.05, ge=0, le=1, description="Above it rejected rows fail the check.")
    scanned_bytes: int | None = Field(
        default=None, gt=0, description="The most bytes a plan may scan, where the warehouse can tell beforehand."
    )


def make_spec(
    *,
    name: str,
    source_model: str,
    relations: dict[str, str],
    primary_key: str,
    account: DestinationAccount,
    mode: Literal["insert", "update", "upsert", "mirror", "append"],
    purpose: str,
    consent: ConsentRule | None,
    mapping: Sequence[MappingEntry],
    limits: SyncLimits,
    approval: Literal["required", "brake"] = "brake",
    removal: Literal["keep", "delete", "archive", "clear"] = "keep",
    first_run: Literal["send_all", "baseline"] = "send_all",
    key_moves: str | None = None,
    policy: ConsentPolicy,
    read_back: ReadBackRule | None = None,
) -> SyncSpec:
    """Make the engine's spec. `relations` are `schema.table` by model name.

    Raises ConfigError, naming the field, for what cannot work at this destination.
    """
    capabilities = destination_of(account.as_connection()).capabilities(account.object)
    if Mode(mode) not in capabilities.modes:
        able = ", ".join(sorted(capabilities.modes))
        raise ConfigError(f"{account.name} {account.object} cannot {mode}.", remedy=f"It can: {able}.", field="mode")
    where = f"{account.name} {account.object}"
    _check_removal(Mode(mode), Removal(removal), capabilities.removals, where, is_moving=key_moves is not None)
    _check_key_moves(key_moves, may_move=capabilities.changes_match_value, where=where)
    _check_mapping(mapping)
    entries = tuple(_mapping(entry) for entry in mapping)
    check_policies(entries, read_back)
    return SyncSpec(
        name=name,
        source_model=source_model,
        relation=_relation(source_model, relations, "source_model"),
        primary_key=primary_key,
        connection=account.as_connection(),
        object=account.object,
        mode=Mode(mode),
        removal=Removal(removal),
        first_run=FirstRun(first_run),
        needs_approval=approval == "required",
        mapping=entries,
        consent=_consent(purpose, consent, account.entity, relations, policy),
        limits=Limits(**limits.model_dump()),
        key_moves=key_moves,
        read_back=read_back.as_read_back(relations) if read_back else None,
    )


def _relation(model: str, relations: dict[str, str], field: str) -> str:
    if model not in relations:
        raise ConfigError(f"there is no model {model!r}.", remedy=nearest_of(model, relations), field=field)
    return relations[model]


def _check_removal(mode: Mode, removal: Removal, able: frozenset[Removal], where: str, *, is_moving: bool) -> None:
    """Raise ConfigError unless a mirror says what becomes of records that left the model, and others only of merged."""
    choices = ", ".join(sorted(able - {Removal.KEEP}))
    if mode is Mode.MIRROR and removal is Removal.KEEP:
        raise ConfigError(
            "a mirror must say what becomes of records that left the source model.",
            remedy=f"Write `removal:` with one of: {choices}.",
            field="removal",
        )
    may_remove = mode is Mode.MIRROR or (is_moving and mode in (Mode.UPSERT, Mode.UPDATE))
    if not may_remove and removal is not Removal.KEEP:
        raise ConfigError(
            f"the mode {mode} removes nothing.",
            remedy="Leave `removal` out, or write `mode: mirror`; with `key_moves` it says what becomes of the second"
            " record of merged persons.",
            field="removal",
        )
    if removal not in able | {Removal.KEEP}:
        raise ConfigError(f"{where} cannot {removal}.", remedy=f"It can: {choices or 'keep'}.", field="removal")


def _check_key_moves(key_moves: str | None, *, may_move: bool, where: str) -> None:
    if key_moves is None:
        return
    if not _TABLE.fullmatch(key_moves):
        raise ConfigError(
            f"{key_moves[:80]!r} is no table.",
            remedy="Write schema.table, as identity.identity_merges.",
            field="key_moves",
        )
    if not may_move:
        raise ConfigError(
            f"{where} cannot give a record another match key.",
            remedy="Leave `key_moves` out: the record of a merged person is then as that of one who left the model.",
            field="key_moves",
        )


def _check_mapping(mapping: Sequence[MappingEntry]) -> None:
    keys = [entry.field for entry in mapping if entry.match_key]
    if len(keys) != 1:
        raise ConfigError(
            f"{len(keys)} fields are the match key.",
            remedy="Mark exactly one entry with `match_key: true`.",
            field="mapping",
        )
    fields = [entry.field for entry in mapping]
    if doubled := sorted({field for field in fields if fields.count(field) > 1}):
        raise ConfigError(
            f"the field {doubled[0]!r} is written twice.", remedy="Map one column to each field.", field="mapping"
        )


def _mapping(entry: MappingEntry) -> FieldMapping:
    return FieldMapping(
        column=entry.column,
        field=entry.field,
        type=FieldType.parse(entry.type) if entry.type else None,
        match_key=entry.match_key,
        after_withdrawal=entry.after_withdrawal,
        personal=entry.personal,
        policy=FieldPolicy(entry.policy),
    )


def _consent(
    purpose: str, rule: ConsentRule | None, entity: str, relations: dict[str, str], policy: ConsentPolicy
) -> Consent | None:
    if purpose == NO_PURPOSE:
        return None
    if rule is None:
        raise ConfigError(
            f"the purpose {purpose!r} needs to know whose consent is asked for.",
            remedy="Add `consent: {identifier: <column>}`, or write `purpose: none` where the object is no person.",
            field="consent",
        )
    require_named(policy, entity, rule.channel, field="destination.entity")
    return Consent(
        entity=entity,
        purpose=purpose,
        channel=rule.channel,
        identifier_column=rule.identifier,
        relation=_relation(rule.consents_model, relations, "consent.consents_model"),
        suppressions=_suppressions(rule.suppressions_model, relations),
        rule=policy.rule(entity, rule.channel),
    )


def _suppressions(model: str, relations: dict[str, str]) -> str | None:
    if model == NO_SUPPRESSIONS:
        return None
    field = "consent.suppressions_model"
    try:
        return _relation(model, relations, field)
    except ConfigError as error:
        remedy = (
            f"{error.remedy} Where nobody keeps such a list, write `suppressions_model: {NO_SUPPRESSIONS}`.".strip()
        )
        raise ConfigError(error.what.removeprefix(f"field `{field}`: "), remedy=remedy, field=field) from error
