"""Gate and mapping in SQL: source model → desired records, each with its permission and the fingerprint of its fields.

`desired` is a temporary view with one row per row of the model: key, match_value (text, nullable), consent_identifier
(text, nullable), permission (see domain/permission), fingerprint (ubigint, of the encoded fields that may be written),
is_invalid (whether one of them cannot be said in its type). The fields themselves are rendered later,
and only for the rows that changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from cdp_platform.domain.syncs import Consent, FieldMapping, FieldType, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.syncs.permissions import create_permissions, identifier_of, is_ended, permission_of
from cdp_platform.warehouse.base import Dialect, Reading, Session, text_column


@dataclass(frozen=True, kw_only=True)
class Fields:
    """SQL of what may be written, over the model's alias `model`: of everybody, and of those who said no."""

    exact: Mapping[str, str]
    """By field, in the order of the mapping: the value as it is compared."""
    every: Mapping[str, str]
    """By field: the value as it is sent."""
    after_withdrawal: Mapping[str, str]
    """Of `every` those that are still sent to who said no."""
    misfits: Mapping[str, str]
    """By field, when its value cannot be said in its type; fields whose values always can are absent."""
    match_value: str
    """The value of the match key as text."""
    consent_identifier: str
    """What consents are found by; null where the sync needs none."""

    def payload(self, dialect: Dialect, permission: str) -> str:
        """SQL of the JSON text of the fields that `permission`, an SQL expression, lets through."""
        every, opt_out = dialect.json_object(self.every), dialect.json_object(self.after_withdrawal)
        return f"case when {is_ended(permission)} then {opt_out} else {every} end"

    def fingerprint(self, dialect: Dialect, permission: str) -> str:
        """SQL of the 64-bit hash of the same fields."""
        every = dialect.fingerprint(list(self.exact.values()))
        opt_out = dialect.fingerprint(["'withdrawn'", *(self.exact[field] for field in self.after_withdrawal)])
        return f"case when {is_ended(permission)} then {opt_out} else {every} end"

    def is_invalid(self, permission: str) -> str:
        """SQL of whether a value that would be written cannot be said in its field's type."""
        checks = [
            condition if field in self.after_withdrawal else f"(not ({is_ended(permission)}) and {condition})"
            for field, condition in self.misfits.items()
        ]
        return " or ".join(checks) or "false"


def encoded_fields(session: Reading, dialect: Dialect, spec: SyncSpec) -> Fields:
    """Say in SQL how each mapped field is encoded; raise ConfigError for a model or column that is not there."""
    columns = session.columns(spec.relation)
    if not columns:
        raise ConfigError(
            f"the source model `{spec.source_model}` is not in the warehouse ({spec.relation}).",
            remedy="Materialize the model first.",
            place=spec.declared_in,
            field="source_model",
        )
    if spec.primary_key not in columns:
        raise missing_column(spec, spec.primary_key, columns, "primary_key")
    types = {entry.field: type_of(spec, entry, columns, dialect) for entry in spec.mapping}
    exact = {
        entry.field: dialect.exact(_column(dialect, entry.column), columns[entry.column], types[entry.field])
        for entry in spec.mapping
    }
    every = {field: dialect.encoded(value, types[field]) for field, value in exact.items()}
    opt_out = {entry.field: every[entry.field] for entry in spec.mapping if entry.after_withdrawal}
    misfits = {
        entry.field: dialect.misfit(_column(dialect, entry.column), columns[entry.column], types[entry.field])
        for entry in spec.mapping
    }
    return Fields(
        exact=exact,
        every=every,
        after_withdrawal=opt_out,
        misfits={field: condition for field, condition in misfits.items() if condition},
        match_value=f"cast({every[spec.match_key.field]} as varchar)",
        consent_identifier=_consent_identifier(dialect, spec.consent),
    )


def create_desired(session: Session, dialect: Dialect, spec: SyncSpec, fields: Fields) -> None:
    """Define the temporary view `desired` over the source model, and the consents that it needs."""
    permission, joined = "'granted'", ""
    if spec.consent:
        create_permissions(session, dialect, spec.consent)
        permission = permission_of(spec.consent, fields.consent_identifier)
        joined = f"left join permissions on permissions.identifier = {fields.consent_identifier}"
    session.execute(
        f"""create or replace temporary view desired as
        select
            model.{dialect.quote(spec.primary_key)} as "key",
            {fields.match_value} as match_value,
            {fields.consent_identifier} as consent_identifier,
            {permission} as permission,
            {fields.fingerprint(dialect, permission)} as fingerprint,
            {fields.is_invalid(permission)} as is_invalid
        from {dialect.relation(spec.relation)} as model {joined}"""
    )


def register_keys(session: Session, keys: Sequence[str]) -> str:
    """Let SQL filter by keys; the answer is a condition over a column "key"."""
    session.register("chosen", pa.Table.from_arrays([text_column(keys)], names=["key"]))
    return 'cast("key" as varchar) in (select "key" from chosen)'


def _consent_identifier(dialect: Dialect, consent: Consent | None) -> str:
    if consent is None:
        return "cast(null as varchar)"
    return identifier_of(dialect, _column(dialect, consent.identifier_column))


def type_of(spec: SyncSpec, entry: FieldMapping, columns: Mapping[str, str], dialect: Dialect) -> FieldType:
    """The type that an entry is encoded in; raises ConfigError for a column that is missing or has no exact text."""
    if entry.column not in columns:
        raise missing_column(spec, entry.column, columns, "mapping")
    field_type = entry.type or dialect.field_type(columns[entry.column])
    if field_type is None:
        raise ConfigError(
            f"column `{entry.column}` of `{spec.source_model}` is {columns[entry.column].lower()}:"
            " that has no exact text.",
            remedy='Give the mapping entry a type, such as type: "decimal(12,2)".',
            place=spec.declared_in,
            field="mapping",
        )
    return field_type


def _column(dialect: Dialect, name: str) -> str:
    return f"model.{dialect.quote(name)}"


def missing_column(spec: SyncSpec, column: str, columns: Mapping[str, str], field: str) -> ConfigError:
    """The error for a column, named in `field`, that the source model does not have."""
    return ConfigError(
        f"the source model `{spec.source_model}` has no column `{column}`.",
        remedy=f"Its columns are: {', '.join(columns)}.",
        place=spec.declared_in,
        field=field,
    )
