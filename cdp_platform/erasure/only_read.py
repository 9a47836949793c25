"""Forgetting beside models of somebody else: where a person stands there, and what has to be gone first.

They stand in a warehouse that is only read, or are built by a project of one's own. What they have comes back with the
next plan. So whoever owns them deletes first; then the copies, the ledgers, the logs, the plans and the destinations
forget. Whose rows are whose is told by the names of the columns that syncs send: those that are kinds of identifiers.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.erasure.holdings import Holding, PersonKey
from cdp_platform.erasure.identifiers import EXCLUSIVE, KINDS_BY_NAME
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.bringing import SCHEMA
from cdp_platform.warehouse.base import Dialect, ReadsElsewhere, Warehouse, reading_of
from cdp_platform.warehouse.literals import literal

_BY_CHANNEL: Final = {"email": "email", "sms": "phone", "phone": "phone", "whatsapp": "phone"}
"""What an identifier of consents is, whatever its column is called."""
_KEYS_AT_ONCE: Final = 1_000


def model_keys(specs: Sequence[SyncSpec]) -> dict[str, PersonKey]:
    """By `schema.table`, of models and consents that syncs read: columns that name a person, with their kinds.

    Raises ConfigError for a sync of people whose columns name nobody for certain.
    """
    found: dict[str, PersonKey] = {}
    for spec in specs:
        if key := _person_key(spec):
            found[spec.relation] = key
        found |= {relation: {"identifier": kind} for relation, kind in _said(spec)}
    return found


def copy_keys(specs: Sequence[SyncSpec]) -> dict[str, PersonKey]:
    """The same of the copies that are kept of them beside a warehouse that is only read."""
    found: dict[str, PersonKey] = {}
    for spec in specs:
        if key := _person_key(spec):
            found[f"{SCHEMA}.{spec.name}"] = key
        said = enumerate(_said(spec))
        found |= {f"{SCHEMA}.{spec.name}__said_{number}": {"identifier": kind} for number, (_, kind) in said}
    return found


def log_links(dialect: Dialect, specs: Sequence[SyncSpec]) -> list[Holding]:
    """What the log of deliveries tells of who is who, also of rows that have left their model since."""
    links = []
    for spec in specs:
        key = _person_key(spec)
        fields = {entry.column: entry.field for entry in spec.mapping if entry.column in key}
        told = [f"{dialect.json_text('payload', field)} as {dialect.quote(name)}" for name, field in fields.items()]
        if spec.primary_key in key and spec.primary_key not in fields:
            told.append(f"primary_key as {dialect.quote(spec.primary_key)}")
            fields[spec.primary_key] = ""
        ledgers = f"select ledger_id from cdp.ledgers where sync = {literal(spec.name)}"
        held = Holding(
            relation=f"(select {', '.join(told)} from cdp.delivered_rows where ledger_id in ({ledgers}))",
            person_key={name: kind for name, kind in key.items() if name in fields},
            is_table=False,
        )
        links += [held] if held.is_link else []
    return links


def require_gone(warehouse: Warehouse, specs: Sequence[SyncSpec], keys: Mapping[str, Sequence[str]]) -> None:
    """Raise CdpError, naming the tables, where models of these syncs still have rows of a person with these keys."""
    left: dict[str, int] = {}
    dialect = warehouse.source.dialect if isinstance(warehouse, ReadsElsewhere) else warehouse.dialect
    with reading_of(warehouse, "forget: is the person gone") as there:
        for spec in specs:
            column = dialect.quote(spec.primary_key)
            known = list(keys.get(spec.name, ()))
            if not known or not there.columns(spec.relation):
                continue
            for start in range(0, len(known), _KEYS_AT_ONCE):
                part = known[start : start + _KEYS_AT_ONCE]
                [row] = there.rows(
                    f"select count(*) as row_count from {dialect.relation(spec.relation)}"
                    f" where cast({column} as varchar) in ({', '.join('?' * len(part))})",
                    part,
                )
                if row["row_count"]:
                    left[spec.relation] = left.get(spec.relation, 0) + int(row["row_count"])
    if left:
        told = ", ".join(f"{relation} ({count})" for relation, count in left.items())
        raise CdpError(
            f"models that are not the platform's own still have rows of this person: {told}; nothing was erased.",
            remedy="Delete the person in the sources of these models and build them, then run cdp forget again: else"
            " the next plan would bring the person back.",
        )


def _said(spec: SyncSpec) -> list[tuple[str, str]]:
    """Tables of consents and suppressions, with the kind of their identifiers."""
    if spec.consent is None or (kind := _BY_CHANNEL.get(spec.consent.channel)) is None:
        return []
    told = (spec.consent.relation, spec.consent.suppressions)
    return [(relation, kind) for relation in told if relation]


def _person_key(spec: SyncSpec) -> dict[str, str]:
    """The columns of a sync's rows that name a person; none where the sync is not of people."""
    columns = [spec.primary_key, spec.match_key.column, *(entry.column for entry in spec.mapping)]
    key = {name: KINDS_BY_NAME[name] for name in columns if name in KINDS_BY_NAME}
    if spec.consent and (kind := _BY_CHANNEL.get(spec.consent.channel)):
        key.setdefault(spec.consent.identifier_column, kind)
    if spec.consent and not any(kind in EXCLUSIVE for kind in key.values()):
        raise ConfigError(
            f"the sync `{spec.name}` has no column that names one person for certain; nobody can be forgotten there.",
            remedy="Give its model and mapping a column with one of these names: "
            + ", ".join(name for name, kind in KINDS_BY_NAME.items() if kind in EXCLUSIVE)
            + ".",
            place=spec.declared_in,
            field="primary_key",
        )
    return key
