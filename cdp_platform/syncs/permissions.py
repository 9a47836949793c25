"""The permissions that a sync asks for: read in one statement, in the plan and again while sending.

`create_permissions` makes the temporary table `permissions`: identifier (normalised), permission. Who is not in it was
never spoken of; `permission_of` says what that means under the market's rule.
"""

from cdp_platform.domain.permission import ENDED, NOT_FOUND, Permission
from cdp_platform.domain.syncs import Consent, FieldKind, FieldType, SyncSpec
from cdp_platform.privacy.permission import concerns, normalised, permission_under, standing, statements
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

_TEXT = FieldType(kind=FieldKind.TEXT)


def is_ended(permission: str) -> str:
    """SQL of whether a permission, an SQL expression, was ended by somebody's word."""
    return f"{permission} in ({', '.join(map(literal, ENDED))})"


def is_not_found(permission: str) -> str:
    """SQL of whether a permission, an SQL expression, was never given."""
    return f"{permission} in ({', '.join(map(literal, NOT_FOUND))})"


def identifier_of(dialect: Dialect, column: str) -> str:
    """SQL of an identifier as it is compared, from a column in SQL."""
    return normalised(dialect.exact(column, "", _TEXT))


def create_permissions(session: Session, dialect: Dialect, consent: Consent, only: str = "true") -> None:
    """Fill `permissions` for the identifiers that fulfil `only`, a condition over `said.identifier`."""
    entity, channel, purpose = (literal(value) for value in (consent.entity, consent.channel, consent.purpose))
    answer = permission_under(f"max({standing(entity)})", consent.rule, is_known="true")
    session.execute(
        f"""create or replace temporary table permissions as
        select said.identifier, {answer} as permission
        from ({_statements(dialect, consent)}) as said
        where {concerns(channel, purpose)} and said.identifier is not null and {only}
        group by said.identifier"""
    )


def permission_of(consent: Consent, identifier: str) -> str:
    """SQL of the permission of an identifier, in SQL, that `permissions` was joined to; never null."""
    silent = permission_under("null", consent.rule, is_known=f"{identifier} is not null")
    return f"coalesce(permissions.permission, {silent})"


def count_statements(session: Session, dialect: Dialect, spec: SyncSpec) -> tuple[int, int]:
    """Count what is said of this sync's entity, channel and purpose, and the suppressions of its channel.

    Both are 0 where no consent is needed. Raises WarehouseError where a table is not there.
    """
    consent = spec.consent
    if consent is None:
        return 0, 0
    asked = [consent.channel, consent.purpose, consent.entity]
    [found] = session.rows(
        f"select count(*) as row_count from {dialect.relation(consent.relation)}"
        " where channel = ? and purpose = ? and entity = ?",
        asked,
    )
    if consent.suppressions is None:
        return int(found["row_count"]), 0
    [listed] = session.rows(
        f"select count(*) as row_count from {dialect.relation(consent.suppressions)} where channel = ?",
        [consent.channel],
    )
    return int(found["row_count"]), int(listed["row_count"])


def floors(spec: SyncSpec, ledger: Ledger) -> tuple[float, float]:
    """The fewest consents and suppressions that are believed after the last good run."""
    kept = 1 - spec.limits.shrunk_share
    return ledger.consent_rows * kept, ledger.suppression_rows * kept


def _statements(dialect: Dialect, consent: Consent) -> str:
    return statements(
        dialect.relation(consent.relation),
        dialect.relation(consent.suppressions) if consent.suppressions else None,
        identifier=dialect.exact(dialect.quote("identifier"), "", _TEXT),
    )


def during_send(permission: str) -> str:
    """The reason of a row that was planned and whose permission is not there any more."""
    return f"{permission}_during_send" if permission in ENDED else Permission(permission).value
