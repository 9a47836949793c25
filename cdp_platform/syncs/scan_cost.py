"""What a plan would scan, where a warehouse is paid for by the bytes that it scans: asked before, for nothing.

A plan reads the model three or four times: to compare, to judge keys, to render what changed. The estimate is of one
reading; the limit of the sync holds for all of them together, statement by statement, before each is run.
"""

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import GuardTripped
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.warehouse.base import Dialect, ForeseesScan, Session


def foresee_scan(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> int | None:
    """Ask how many bytes one reading of what a plan compares would scan; None where the warehouse cannot say.

    From then on the session is held to the sync's limit. Raises GuardTripped where the estimate is above it already.
    """
    if not isinstance(session, ForeseesScan) or not (columns := session.columns(spec.relation)):
        return None
    wanted = dict.fromkeys([spec.primary_key, *(entry.column for entry in spec.mapping)])
    names = ", ".join(dialect.quote(name) for name in wanted if name in columns)
    queries = [f'select "key", fingerprint from {ledger.diff_table}']
    queries += [f"select {names} from {dialect.relation(spec.relation)}"] if names else []
    if consent := spec.consent:
        queries.append(f"select identifier, entity, channel, purpose, status from {dialect.relation(consent.relation)}")
        if consent.suppressions:
            queries.append(f"select identifier, channel, entity from {dialect.relation(consent.suppressions)}")
    estimate = sum(map(session.scanned_bytes, queries))
    limit = spec.limits.scanned_bytes
    if limit is not None:
        if estimate > limit:
            raise GuardTripped(
                f"planning {spec.name} would scan {estimate:,} bytes and more; its limit is {limit:,}.",
                remedy="Raise limits.scanned_bytes, map fewer columns, or cut the sync by a partition.",
                counts={"scanned_bytes": estimate},
            )
        session.limit_scan(limit)
    return estimate
