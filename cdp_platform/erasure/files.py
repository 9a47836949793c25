"""Files under the home that may hold a person, outside of the warehouse and the plans of declared syncs."""

import shutil
from collections.abc import Container, Iterable

from cdp_platform.domain.home import Home
from cdp_platform.erasure.holdings import PersonKey
from cdp_platform.erasure.identifiers import Closure
from cdp_platform.erasure.source_files import erase_from_files
from cdp_platform.errors import CdpError
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan_files import forget_plan, plan_files
from cdp_platform.warehouse.base import Warehouse


def erase_files(
    home: Home,
    warehouse: Warehouse,
    journal: Journal,
    closure: Closure,
    keys: Iterable[PersonKey],
    syncs: Container[str],
) -> int:
    """Delete reports, what loads left behind, plans of syncs that are not declared any more; write the stores anew.

    Rows of the person are taken out of the sources' files under the home; `keys` are the person keys of what is read
    from them. Returns how many files and rows are gone. Reports are written anew by `cdp report`; of a sync that
    nothing declares nobody knows the keys, so that every plan of it goes. Raises CdpError for a file that cannot be
    deleted, WarehouseError for a warehouse that cannot be written.
    """
    try:
        gone = erase_from_files(home.demo_sources, keys, closure)
        for folder in (home.reports, home.dlt):
            if folder.exists():
                gone += sum(path.is_file() for path in folder.rglob("*"))
                shutil.rmtree(folder)
        for folder in sorted(home.plans.iterdir()) if home.plans.exists() else ():
            for path in plan_files(home, folder.name) if folder.name not in syncs else ():
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
