"""Gate and mapping in SQL: source model → desired records, each with its permission and its encoded fields.

The result is one temporary table `desired`: key, match_value (text, nullable), consent_identifier (text, nullable),
permission (`granted`, `withdrawn`, `never_asked`), payload (JSON text of the fields that may be written).
"""

from collections.abc import Mapping, Sequence

from cdp_platform.domain.syncs import Consent, FieldKind, FieldMapping, FieldType, SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import Dialect, Session, Warehouse

_TEXT = FieldType(kind=FieldKind.TEXT)


def field_types(spec: SyncSpec, columns: Mapping[str, str], dialect: Dialect) -> dict[str, FieldType]:
    """Say as what each mapped field is encoded; raise ConfigError for a column that is missing or has no exact type."""
    return {entry.field: _field_type(spec, entry, columns, dialect) for entry in spec.mapping}


def _field_type(spec: SyncSpec, entry: FieldMapping, columns: Mapping[str, str], dialect: Dialect) -> FieldType:
    if entry.column not in columns:
        raise ConfigError(
            f"the source model `{spec.source_model}` has no column `{entry.column}`.",
            remedy=f"Its columns are: {', '.join(columns)}.",
            place=spec.declared_in,
            field="mapping",
        )
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


def create_desired(session: Session, warehouse: Warehouse, spec: SyncSpec) -> None:
    """Fill the temporary table `desired` from one read of the source model and of the consents."""
    dialect = warehouse.dialect
    columns = session.columns(spec.relation)
    if not columns:
        raise ConfigError(
            f"the source model `{spec.source_model}` is not in the warehouse ({spec.relation}).",
            remedy="Materialize the model first.",
            place=spec.declared_in,
            field="source_model",
        )
    if spec.primary_key not in columns:
        raise ConfigError(
            f"the source model `{spec.source_model}` has no column `{spec.primary_key}`.",
            remedy=f"Its columns are: {', '.join(columns)}.",
            place=spec.declared_in,
            field="primary_key",
        )
    types = field_types(spec, columns, dialect)
    every = _payload(spec.mapping, types, dialect)
    opt_out = _payload([entry for entry in spec.mapping if entry.after_withdrawal], types, dialect)
    identifier = _identifier(spec.consent, dialect)
    joined, parameters = _consent_join(spec.consent, dialect)
    session.execute("drop table if exists desired")
    session.execute(
        f"""create temporary table desired as
        select
            model.{dialect.quote(spec.primary_key)} as "key",
            cast({_column(spec.match_key, types, dialect)} as varchar) as match_value,
            {identifier} as consent_identifier,
            {_permission(spec.consent)} as permission,
            case when {_permission(spec.consent)} = 'withdrawn' then {opt_out} else {every} end as payload
        from {dialect.relation(spec.relation)} as model
        {joined}""",
        parameters,
    )


def _column(entry: FieldMapping, types: Mapping[str, FieldType], dialect: Dialect) -> str:
    return dialect.encoded(f"model.{dialect.quote(entry.column)}", types[entry.field])


def _payload(entries: Sequence[FieldMapping], types: Mapping[str, FieldType], dialect: Dialect) -> str:
    return dialect.json_object({entry.field: _column(entry, types, dialect) for entry in entries})


def _identifier(consent: Consent | None, dialect: Dialect) -> str:
    if consent is None:
        return "cast(null as varchar)"
    return f"lower(trim({dialect.encoded(f'model.{dialect.quote(consent.identifier_column)}', _TEXT)}))"


def _permission(consent: Consent | None) -> str:
    return "'granted'" if consent is None else "coalesce(consent.status, 'never_asked')"


def _consent_join(consent: Consent | None, dialect: Dialect) -> tuple[str, list[str]]:
    if consent is None:
        return "", []
    # max: of two statements about one identifier, 'withdrawn' wins over 'granted'.
    join = f"""left join (
            select identifier, max(status) as status
            from {dialect.relation(consent.relation)}
            where entity = ? and channel = ? and purpose = ? and status in ('granted', 'withdrawn')
            group by identifier
        ) as consent on consent.identifier = {_identifier(consent, dialect)}"""
    return join, [consent.entity, consent.channel, consent.purpose]
