"""Moving house: what the destination has accepted, taken along from one warehouse to another.

The ledger's rows, the log and the rows that were refused or stayed unknown are copied. Fingerprints are not: each
warehouse has a hash of its own. A row's is made anew where both warehouses say the very same of it, and where the old
ledger said that this is what the destination has; of every other row the content counts as unknown, and the next run
sends it again. So the first run in the new warehouse plans no change where nothing has changed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls
from cdp_platform.syncs.account import Engine, connection_id, identity
from cdp_platform.syncs.jobs import finish_jobs
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, ledger_id, probe_of, read_header
from cdp_platform.syncs.plan import ledger_of, policied, row_count
from cdp_platform.syncs.resend import encoding_of
from cdp_platform.syncs.settle import recover
from cdp_platform.syncs.source import prepare_source
from cdp_platform.warehouse.base import Row, Session
from cdp_platform.warehouse.carrying import carry
from cdp_platform.warehouse.literals import quoted

_BOOKS = ("ledgers", "settles", "delivered_rows", "rejected_rows", "unknown_rows", "key_moves", "sync_runs")
"""The platform's tables, of schema `cdp`, that hold rows of a ledger."""
_HELD = ("rejected_rows", "unknown_rows")
"""Those of them that hold fingerprints, as text."""


@dataclass(frozen=True, kw_only=True)
class Relocation:
    """What was taken along of one sync."""

    sync: str
    rows: int
    """Rows of the ledger."""
    proven: int
    """Rows whose content is known in the new warehouse, too; the others are sent again by the next run."""


def relocate(old: Engine, new: Engine, spec: SyncSpec) -> Relocation | None:
    """Take the ledger of a sync from `old` to `new`, which share home and journal; None where it has none.

    The sync's model must be in both. Doing it again does it anew, as long as nothing was sent from there. Raises
    CdpError where the new warehouse has delivered to the account by itself, ConfigError for a model that is not there,
    LeaseLost where another run is at work.
    """
    account_id = controls.known_account(old.journal, connection_id(old, spec))
    if account_id is None:
        return None
    name = ledger_id(identity(spec, account_id))
    with held_lease(old.journal, name) as lease:
        finish_jobs(old, spec, lease)
        with (
            old.warehouse.session(f"move {spec.name} away") as there,
            new.warehouse.session(f"move {spec.name} here") as here,
        ):
            prepare_source(there, old.warehouse, spec)
            prepare_source(here, new.warehouse, spec)
            ledger = recover(old, there, ledger_of(old, there, spec, account_id))
            _require_untouched(spec, there, ledger, here, ledger_of(new, here, spec, account_id))
            _carry_books(there, here, ledger)
            _carry_contents(old, there, here, spec, ledger)
            return _prove(new, here, spec, read_header(here, name))


def _require_untouched(spec: SyncSpec, there: Session, ledger: Ledger, here: Session, found: Ledger) -> None:
    """Raise CdpError where the ledger in the new warehouse tells of what the old one does not know."""
    is_same = found.last_settle_id == ledger.last_settle_id
    if found.version and not is_same and not _is_earlier(_settlings(here, found), _settlings(there, ledger)):
        raise CdpError(
            f"sync {spec.name} has been run from the new warehouse already; its ledger there was left as it is.",
            remedy=f"To move it all the same, begin anew there: cdp reset {spec.name}, then cdp move.",
        )


def _is_earlier(found: Sequence[Row], known: Sequence[Row]) -> bool:
    """Whether one past is the beginning of the other."""
    return bool(found) and list(found) == list(known[: len(found)])


def _settlings(session: Session, ledger: Ledger) -> list[Row]:
    return session.rows(
        "select version, digest, run_id from cdp.settles where ledger_id = ? order by version", [ledger.ledger_id]
    )


def _carry_books(there: Session, here: Session, ledger: Ledger) -> None:
    """Copy the ledger and its log, with no fingerprint that is true here: so far no row's content is proven.

    What the old ledger knew of a row keeps some fingerprint all the same, since policies of fields go by what was
    delivered only where it is known. Were moving to end here, the probe is the old warehouse's, so that no run
    compares with it.
    """
    chosen = f"where ledger_id = '{ledger.ledger_id}'"
    for table in _BOOKS:
        columns = _shared_columns(there, here, f"cdp.{table}")
        named = ", ".join(map(quoted, columns))
        carry(there, here, f"select {named} from cdp.{table} {chosen}", f"moved_{table}", columns)
    key = here.columns(ledger.diff_table)["key"]
    fingerprints = f'select "key", cast(fingerprint as varchar) as former from {ledger.diff_table}'
    carry(there, here, fingerprints, "moved_rows", {"key": key, "former": "VARCHAR"})
    side = here.columns(ledger.side_table)
    carry(there, here, f"select {', '.join(map(quoted, side))} from {ledger.side_table}", "moved_side", side)
    with here.transaction():
        for table in _BOOKS:
            here.execute(f"delete from cdp.{table} {chosen}")
            here.execute(f"insert into cdp.{table} select * from moved_{table}")
        here.execute(f"delete from {ledger.diff_table}")
        here.execute(
            f'insert into {ledger.diff_table} select "key", case when former is null then null else 0 end'
            " from moved_rows"
        )
        here.execute(f"delete from {ledger.side_table}")
        here.execute(f"insert into {ledger.side_table} select * from moved_side")


def _shared_columns(there: Session, here: Session, relation: str) -> Mapping[str, str]:
    """The columns with their types here. Raises CdpError where the two warehouses' tables are of two versions."""
    known, found = here.columns(relation), there.columns(relation)
    if strange := sorted(known.keys() ^ found.keys()):
        raise CdpError(
            f"{relation} has another form in the old warehouse ({', '.join(strange)}): another version made it.",
            remedy="Let the newer of the two versions plan once in the old warehouse, and move with that version.",
        )
    return known


def _carry_contents(old: Engine, there: Session, here: Session, spec: SyncSpec, ledger: Ledger) -> None:
    """Tell the new warehouse what the old one says of each row of the model, as a digest, with its fingerprint."""
    query = _contents(old, there, spec, ledger)
    said = f'select cast("key" as varchar) as "key", cast(fingerprint as varchar) as former, content from ({query})'
    carry(there, here, said, "moved_contents", {"key": "VARCHAR", "former": "VARCHAR", "content": "VARCHAR"})


def _contents(engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger) -> str:
    """SQL of key, fingerprint and a digest of the very values of each row that the model has now."""
    dialect = engine.warehouse.dialect
    policies, fields = policied(session, dialect, spec, ledger)
    permission = "desired.permission"
    return (
        f'select desired."key" as "key", desired.fingerprint as fingerprint,'
        f" md5(concat(desired.permission, ' ', {fields.payload(dialect, permission)})) as content"
        f" from desired join {dialect.relation(policies.source.relation)} as model"
        f' on model.{dialect.quote(spec.primary_key)} = desired."key"'
    )


def _prove(new: Engine, here: Session, spec: SyncSpec, ledger: Ledger) -> Relocation:
    """Fill in the fingerprints of the rows of which both warehouses say the same."""
    query = _contents(new, here, spec, ledger)
    here.execute(
        f"""create or replace temporary table proven as
        select now."key" as "key", now.fingerprint as fingerprint, moved.former as former
        from ({query}) as now
        join moved_contents as moved on moved."key" = cast(now."key" as varchar)
        where moved.content = now.content"""
    )
    here.execute(
        """create or replace temporary table moved_ledger as
        select moved."key" as "key", proven.fingerprint as fingerprint
        from moved_rows as moved
        left join proven
            on cast(proven."key" as varchar) = cast(moved."key" as varchar) and proven.former = moved.former"""
    )
    with here.transaction():
        here.execute(f"delete from {ledger.diff_table}")
        here.execute(f'insert into {ledger.diff_table} select "key", fingerprint from moved_ledger')
        for table in _HELD:
            here.execute(
                f"""update cdp.{table} set fingerprint = (
                    select cast(max(proven.fingerprint) as varchar) from proven
                    where cast(proven."key" as varchar) = {table}.primary_key and proven.former = {table}.fingerprint)
                where ledger_id = ? and fingerprint is not null""",
                [ledger.ledger_id],
            )
        here.execute(
            "update cdp.ledgers set probe = ?, encoding = ? where ledger_id = ?",
            [probe_of(here, new.warehouse.dialect), json.dumps(encoding_of(here, spec)), ledger.ledger_id],
        )
    proven = row_count(here, f"{ledger.diff_table} where fingerprint is not null")
    return Relocation(sync=spec.name, rows=row_count(here, ledger.diff_table), proven=proven)
