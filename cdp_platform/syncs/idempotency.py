"""Idempotency keys: the name of one delivery, the same in every attempt at it, also after a crash.

A key is an HMAC over the ledger, what is done to the row, its primary key and fingerprint, and the version of its last
known delivery; so a value that comes back later (A → B → A) has another one. The secret lies in the journal.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from cdp_platform.connectors.protocol import Batch
from cdp_platform.domain.plans import Plan
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.answer_rules import KEY_MARGIN_SECONDS
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.warehouse.base import Session

_SECRET = "idempotency_secret"  # noqa: S105 - the name under which it is kept


@dataclass(frozen=True, kw_only=True)
class IdempotencyKeys:
    """The keys of one plan's rows. Columns by ordinal, in Arrow: a key is made when its row is sent."""

    secret: bytes
    ledger_id: str
    parts: pa.Table
    """One row a planned row, in the order of ordinals: is_removal, primary_key, fingerprint (text, nullable), version
    (0 where no delivery is known), carried_until (POSIX seconds until when an attempt of an earlier run may be
    repeated, 0 where it may not; null for rows that no earlier run has tried)."""

    def given_to(self, rows: Batch) -> Batch:
        """The same rows with their keys: 32 hexadecimal digits each."""
        chosen = self._chosen(rows.ordinals).select(["is_removal", "primary_key", "fingerprint", "version"])
        return replace(rows, idempotency_keys=[self._key(part) for part in zip(*_columns(chosen), strict=True)])

    def forgotten(self, rows: Batch, now: float) -> frozenset[int]:
        """Ordinals of rows that an earlier run tried with a key that the destination may have forgotten by now."""
        carried = self._chosen(rows.ordinals)["carried_until"].to_pylist()
        return frozenset(
            ordinal
            for ordinal, until in zip(rows.ordinals, carried, strict=True)
            if until is not None and now >= until - KEY_MARGIN_SECONDS
        )

    def repeatable_until(self, rows: Batch) -> float | None:
        """Until when (POSIX seconds) all these rows may be repeated; None where no earlier run has tried any."""
        carried = [until for until in self._chosen(rows.ordinals)["carried_until"].to_pylist() if until is not None]
        return min(carried) - KEY_MARGIN_SECONDS if carried else None

    def _chosen(self, ordinals: Sequence[int]) -> pa.Table:
        return self.parts.take(pa.array(ordinals, pa.int64()))

    def _key(self, part: tuple[object, ...]) -> str:
        # What is created before a crash may be an update after it: both write the same values to the same row.
        message = json.dumps([self.ledger_id, *part]).encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()[:32]


def read_keys(engine: Engine, plan: Plan) -> IdempotencyKeys:
    """Read what the keys of a plan's rows are made of, over a short warehouse session; it has rows to send."""
    with engine.warehouse.session(f"keys {plan.sync}") as session:
        secret = _secret(engine.journal, session)
        planned = session.parquet(plan_path(engine.home, plan.sync, plan.digest))
        parts = session.batches(
            f"""with planned as (
                select ordinal, operation = 'remove' as is_removal, cast("key" as varchar) as primary_key,
                    cast(fingerprint as varchar) as fingerprint from {planned}
            ),
            delivered as (
                select primary_key, max(version) as version from cdp.delivered_rows
                where ledger_id = $ledger and primary_key in (select primary_key from planned) group by primary_key
            )
            select planned.is_removal, planned.primary_key, planned.fingerprint,
                coalesce(delivered.version, 0) as version,
                case when doubtful.primary_key is not null then coalesce(epoch(doubtful.retry_until), 0.0) end
                    as carried_until
            from planned
            left join delivered on delivered.primary_key = planned.primary_key
            left join cdp.unknown_rows as doubtful on doubtful.ledger_id = $ledger and doubtful.resolved_at is null
                and doubtful.primary_key = planned.primary_key
            order by planned.ordinal""",
            {"ledger": plan.ledger_id},
        )
        return IdempotencyKeys(secret=secret, ledger_id=plan.ledger_id, parts=pa.Table.from_batches(parts))


def _secret(journal: Journal, session: Session) -> bytes:
    """The journal's secret, made at the first use."""
    with journal.transaction() as connection:
        found = connection.execute("select value from meta where name = ?", [_SECRET]).fetchone()
    if found is None:
        # With a journal that is new, keys that were sent before cannot be made again: nothing may count on them.
        session.execute("update cdp.unknown_rows set retry_until = null")
        made = secrets.token_hex(32)
        with journal.transaction() as connection:
            connection.execute("insert into meta values (?, ?) on conflict do nothing", [_SECRET, made])
            found = connection.execute("select value from meta where name = ?", [_SECRET]).fetchone()
    return bytes.fromhex(found[0])


def _columns(table: pa.Table) -> list[list[object]]:
    return [column.to_pylist() for column in table.columns]
