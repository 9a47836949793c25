"""Files under the home that may hold a person, outside of the warehouse and the plans of declared syncs."""

import shutil
from collections.abc import Container

from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan_files import forget_plan, plan_files
from cdp_platform.warehouse.base import Warehouse


def erase_files(home: Home, warehouse: Warehouse, journal: Journal, declared: Container[str]) -> int:
    """Delete reports, what loads left behind, and plans of syncs that are not declared any more; write the stores anew.

    Returns how many files are gone. Reports are written anew by `cdp report`; of a sync that nothing declares nobody
    knows the keys, so that every plan of it goes. Raises CdpError for a file that cannot be deleted, WarehouseError
    for a warehouse that cannot be written.
    """
    gone = 0
    try:
        for folder in (home.reports, home.dlt):
            if folder.exists():
                gone += sum(path.is_file() for path in folder.rglob("*"))
                shutil.rmtree(folder)
        for folder in sorted(home.plans.iterdir()) if home.plans.exists() else ():
            for path in plan_files(home, folder.name) if folder.name not in declared else ():
                forget_plan(home, folder.name, path)
                gone += 1
    except OSError as error:
        raise CdpError(
            f"files under {home.root} cannot be deleted ({error.strerror or error}).",
            remedy="Check the permissions, then run: cdp forget --resume.",
        ) from error
    warehouse.shred()
    journal.shred()
    return gone
