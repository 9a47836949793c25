"""The demo's sources of the first 150 households, made and read as the platform makes and reads them."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import yaml

from cdp_platform.components.source_tables import SourceTableDefinition
from cdp_platform.ingest.declared import DeclaredTable, Reading
from cdp_platform.ingest.faces import make_faces
from cdp_platform.ingest.faces.shopping import Household, read_households
from cdp_platform.ingest.files import read_files
from cdp_platform.ingest.sqlite import read_sqlite

ROOT = Path(__file__).parents[1]
NAME_PARTS = ROOT / "dbt_project" / "seeds" / "fictional_name_parts.csv"
HOUSEHOLDS_UP_TO = 150
REPLAY = (date(2017, 12, 25), date(2017, 12, 31))
SEED = 2017


def few_households() -> Sequence[Household]:
    """The households up to 150."""
    return [one for one in read_households() if one.household_id <= HOUSEHOLDS_UP_TO]


def small_sources(folder: Path) -> Iterator[tuple[DeclaredTable, Reading]]:
    """Make the files in `folder` and read each table that the project's own YAML declares on them."""
    make_faces(folder, NAME_PARTS, seed=SEED, replay=REPLAY, read=few_households)
    for name in ("web", "loyalty", "support"):
        for table in declared_tables(name, folder):
            yield table, read_sqlite(table) if table.format == "sqlite" else read_files(table)


def declared_tables(source: str, demo: Path) -> Iterator[DeclaredTable]:
    """The tables of a source as `defs/ingest/<source>/defs.yaml` declares them, lying in `demo`."""
    file = ROOT / "cdp_platform" / "defs" / "ingest" / source / "defs.yaml"
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))["attributes"]["tables"]
    for name, attributes in declared.items():
        for place in ("files", "database"):
            if place in attributes:
                attributes[place] = attributes[place].replace("{home}/demo", str(demo))
        yield SourceTableDefinition(**attributes).declared(source, name, time_zone="America/New_York")
