"""Where a sync's rows are read: as the warehouse has them, from an audience, or from a warehouse that is only read."""

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.audience_source import create_source
from cdp_platform.syncs.bringing import bring_consents, bring_in
from cdp_platform.warehouse.base import ReadsElsewhere, Session, Warehouse


def prepare_source(session: Session, warehouse: Warehouse, spec: SyncSpec) -> Cost | None:
    """Let a session, outside of a transaction, read the sync's model and consents as they are now.

    The answer is what reading them elsewhere cost; None where nothing is read elsewhere, or nobody pays by use. Raises
    ConfigError for a source that is not there or cannot be read this way, WarehouseError.
    """
    cost = (
        bring_in(session, warehouse.dialect, warehouse.source, spec) if isinstance(warehouse, ReadsElsewhere) else None
    )
    create_source(session, warehouse.dialect, spec)
    return cost


def renew_consents(session: Session, warehouse: Warehouse, spec: SyncSpec) -> None:
    """Let a session read the consents as they are now. Raises WarehouseError."""
    if isinstance(warehouse, ReadsElsewhere):
        bring_consents(session, warehouse.source, spec)
