"""Recognise a ledger that has lost what was settled into it: where a row may be sent once, it sends nothing.

The journal remembers the version after each settling; a warehouse that was lost or restored is behind it (G15).
"""

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.ledger import Ledger


def remember(journal: Journal, ledger: Ledger) -> None:
    """Keep the version that the ledger has now."""
    with journal.transaction() as connection:
        connection.execute("insert or replace into meta values (?, ?)", [_name(ledger), str(ledger.version)])


def forget(journal: Journal, ledger: Ledger) -> None:
    """Expect nothing of the ledger any more: it is to begin anew."""
    with journal.transaction() as connection:
        connection.execute("delete from meta where name = ?", [_name(ledger)])


def require_current(journal: Journal, spec: SyncSpec, ledger: Ledger) -> None:
    """Raise CdpError for a ledger that is older than the last settling that this journal knows of."""
    with journal.transaction() as connection:
        row = connection.execute("select value from meta where name = ?", [_name(ledger)]).fetchone()
    if row and ledger.version < int(row[0]):
        raise CdpError(
            f"the ledger of sync {spec.name} has version {ledger.version}, but version {row[0]} was settled: the"
            " warehouse is older than what was sent, and rows could be sent twice.",
            remedy=f"Restore the newer warehouse, or begin anew with what to take as sent: cdp reset {spec.name}.",
        )


def _name(ledger: Ledger) -> str:
    return f"settled/{ledger.ledger_id}"
