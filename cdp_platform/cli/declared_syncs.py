"""From a sync's name at the terminal to its spec and engine, by the same definitions that Dagster loads."""

import sys
import uuid
from collections.abc import Mapping
from contextlib import redirect_stdout
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import cdp_platform
from cdp_platform.connectors.credentials import cdp_project
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs.account import Engine

if TYPE_CHECKING:
    from cdp_platform.erasure.forget import Scope


def declared_syncs() -> Mapping[str, SyncSpec]:
    """Load every sync that the definitions declare, by name; raise ConfigError where one of them cannot work."""
    from cdp_platform.components.loading import load_syncs

    # dbt talks while it parses; a command's own output may be read by a program.
    with redirect_stdout(sys.stderr):
        return load_syncs(*declared_in())


def declared_in() -> tuple[Path, Path]:
    """The folder with the `defs.yaml` files and the project's root: of the nearest `cdp.yaml`, else our own."""
    if project := cdp_project():
        return project.defs, project.root
    package = Path(cdp_platform.__file__).parent
    return package / "defs", package.parent


def everything() -> "Scope":
    """All in which a person may stand: home, warehouse, journal, declared tables and syncs.

    Raises CdpError where there is no warehouse yet, ConfigError where a definition cannot work.
    """
    from cdp_platform.components.dbt_project import DbtProject
    from cdp_platform.components.person_keys import declared_person_keys
    from cdp_platform.components.resources import PLATFORM
    from cdp_platform.erasure.forget import Scope
    from cdp_platform.syncs.journal import Journal

    if PLATFORM.is_only_read:
        return _beside_models_of_others()
    if not PLATFORM.home.has_warehouse:
        raise CdpError(f"there is no warehouse in {PLATFORM.home.root} yet.", remedy="Nobody is known here.")
    if cdp_project():
        return _beside_models_of_others()
    syncs = open_all()
    project = DbtProject(folder=Path(cdp_platform.__file__).parent.parent / "dbt_project", home=PLATFORM.home)
    return Scope(
        home=PLATFORM.home,
        warehouse=PLATFORM.warehouse,
        journal=Journal(PLATFORM.home),
        declared=declared_person_keys(project.manifest()),
        syncs=syncs,
    )


def _beside_models_of_others() -> "Scope":
    """What the platform itself holds of people, where models are only read, or those of a project of one's own."""
    from cdp_platform.components.dbt_manifest import DbtManifest
    from cdp_platform.components.person_keys import person_keys_told
    from cdp_platform.components.resources import PLATFORM
    from cdp_platform.erasure.forget import Scope
    from cdp_platform.erasure.only_read import copy_keys, log_links, model_keys
    from cdp_platform.syncs.journal import Journal

    syncs, warehouse = open_all(), PLATFORM.warehouse
    specs = [spec for _, spec in syncs]
    manifest = PLATFORM.home.dbt_target / "manifest.json"
    if PLATFORM.is_only_read:
        declared = copy_keys(specs)
    else:
        declared = person_keys_told(DbtManifest.read(manifest)) if manifest.is_file() else {}
    return Scope(
        home=PLATFORM.home,
        warehouse=warehouse,
        journal=Journal(PLATFORM.home),
        declared=declared,
        theirs={relation: key for relation, key in model_keys(specs).items() if relation not in declared},
        syncs=syncs,
        links=log_links(warehouse.dialect, specs),
    )


def open_all() -> list[tuple[Engine, SyncSpec]]:
    """Put the engine of every declared sync together; raise ConfigError where one of them cannot work."""
    from cdp_platform.components.resources import PLATFORM
    from cdp_platform.components.sync import engine_of

    return [(engine_of(PLATFORM, spec), spec) for spec in declared_syncs().values()]


def open_sync(name: str) -> tuple[Engine, SyncSpec]:
    """Find a sync by name and put its engine together; raise CdpError, naming the nearest, where there is none."""
    from cdp_platform.components.resources import PLATFORM
    from cdp_platform.components.sync import engine_of

    specs = declared_syncs()
    if name not in specs:
        raise unknown("sync", name, specs)
    return engine_of(PLATFORM, specs[name]), specs[name]


def unknown(what: str, name: str, known: Mapping[str, object]) -> CdpError:
    """The error for a name that nothing carries."""
    from cdp_platform.domain.nearest import nearest_of

    return CdpError(f"there is no {what} {name!r}.", remedy=nearest_of(name, known))


def new_run_id() -> str:
    """Name a run that starts at the terminal."""
    return f"cdp-{uuid.uuid4()}"


def person() -> str:
    """The operating system's user, for the logs of who paused and approved."""
    try:
        return getuser()
    except (OSError, KeyError):
        return "unknown"
