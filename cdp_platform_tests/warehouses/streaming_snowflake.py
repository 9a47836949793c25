"""A server that answers as Snowflake does while a long table is read or loaded: `… FILE [MEGABYTES]`.

Whatever is selected from is FILE. Its rows come in chunks of Arrow, packed by gzip, the first within the answer itself,
each of the others at an address of its own. Chunks grow from one row group to the session's CLIENT_RESULT_CHUNK_SIZE in
uncompressed bytes, 160 MB where it says nothing; with MEGABYTES the limit is that, whatever the session says. Vendor's
words (documentation of behaviour change 2319, its engineers in the public, read 2026-11-23): a number of megabytes from
16 to 160, which was held loosely before; chunks grow. Numbers come as whole ones with a scale, times as seconds and
nanoseconds, as Snowflake sends them. Files are put as into Google's storage.
"""

import base64
import json
import re
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp_platform_tests.warehouses.streaming import Answering, serve_for_ever

_DEFAULT_MEGABYTES = 160
_ROWS = re.compile(r"select\b.*\bfrom\s.*\bpeople\b", re.IGNORECASE | re.DOTALL)
_COUNT = re.compile(r"select count\(\*\)", re.IGNORECASE)
_PUT = re.compile(r"put 'file://([^']+)'", re.IGNORECASE)
_NANOSECONDS = 9
_NOTHING = {"length": None, "byteLength": None, "precision": None, "scale": None, "nullable": True}


class Snowflake(Answering):
    """One account; every session sees the same table."""

    file: ClassVar[Path]
    megabytes: ClassVar[float | None] = None
    asked_megabytes: ClassVar[float] = _DEFAULT_MEGABYTES
    asked_chunks: ClassVar[int] = 0
    loaded_files: ClassVar[int] = 0
    loaded_rows: ClassVar[int] = 0

    def respond(self, method: str) -> None:
        path = urlsplit(self.path).path
        if method == "GET":
            Snowflake.asked_chunks += 1
            first, last = map(int, path.split("/")[-2:])
            self.stream(_packed(self.file, range(first, last)), Content_Encoding="gzip")
        elif method == "PUT":
            Snowflake.loaded_files += 1
            Snowflake.loaded_rows += pq.read_metadata(BytesIO(self.body())).num_rows
            self.answer({})
        else:
            self._post(path, json.loads(self.body() or b"{}"))

    def _post(self, path: str, told: dict[str, Any]) -> None:
        data = None
        if path == "/session/v1/login-request":
            data = self._logged_in(told["data"]["SESSION_PARAMETERS"])
        elif path == "/queries/v1/query-request":
            data = self._answered(told["sqlText"], is_described=bool(told.get("describeOnly")))
        self.answer({"success": True, "data": data})

    def _logged_in(self, parameters: dict[str, Any]) -> dict[str, Any]:
        Snowflake.asked_megabytes = float(parameters.get("CLIENT_RESULT_CHUNK_SIZE", _DEFAULT_MEGABYTES))
        told = {
            "AUTOCOMMIT": True,
            "TIMEZONE": "UTC",
            "CLIENT_PREFETCH_THREADS": int(parameters.get("CLIENT_PREFETCH_THREADS", 4)),
            "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY": 3600,
        }
        listed = [{"name": name, "value": value} for name, value in told.items()]
        return {"token": "t", "masterToken": "m", "parameters": listed}

    def _answered(self, sql: str, *, is_described: bool) -> dict[str, Any]:
        common = {"queryId": "q", "parameters": [], "finalDatabaseName": "B", "queryResultFormat": "arrow"}
        if put := _PUT.match(sql):
            return self._stage(Path(put[1]))
        if _COUNT.match(sql) or not _ROWS.match(sql):
            schema, rows = _counted(self.loaded_rows)
        else:
            schema = snowflakes(pq.read_schema(self.file).empty_table()).schema
            rows = {"rowsetBase64": "", "total": 0} if is_described else self._rows()
        return common | {"rowtype": [_told(field) for field in schema]} | rows

    def _rows(self) -> dict[str, Any]:
        """The first rows, and where the others are."""
        with pq.ParquetFile(self.file) as file:
            sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            group_bytes = snowflakes(file.read_row_group(0)).nbytes
        most = max(1, int(1_000_000 * (self.megabytes or self.asked_megabytes)) // group_bytes)
        chunks, first, groups = [], 1, 1
        while first < len(sizes):
            last = min(first + groups, len(sizes))
            url = f"http://{self.headers['Host']}/chunk/{first}/{last}"
            size = group_bytes * (last - first)
            told = {"url": url, "rowCount": sum(sizes[first:last]), "uncompressedSize": size, "compressedSize": size}
            chunks.append(told)
            first, groups = last, min(2 * groups, most)
        inline = base64.b64encode(b"".join(_ipc(self.file, range(1)))).decode()
        return {"total": sum(sizes), "rowsetBase64": inline, "chunks": chunks}

    def _stage(self, file: Path) -> dict[str, Any]:
        url = f"http://{self.headers['Host']}/stage/{file.name}"
        return {
            "command": "UPLOAD",
            "src_locations": [str(file)],
            "parallel": 4,
            "autoCompress": False,
            "sourceCompression": "none",
            "overwrite": False,
            "stageInfo": {"locationType": "GCS", "location": "stage/", "creds": {}, "presignedUrl": url},
            "encryptionMaterial": None,
        }


def snowflakes(table: pa.Table) -> pa.Table:
    """Rows in the types that Snowflake sends, which are told beside them."""
    columns, fields = [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        values, told = _sent(column.combine_chunks())
        columns.append(values)
        metadata = {name: str(value) for name, value in told.items()}
        fields.append(pa.field(field.name, values.type, metadata={"precision": "38", "scale": "0", **metadata}))
    return pa.table(columns, pa.schema(fields))


def _sent(column: pa.Array) -> tuple[pa.Array, dict[str, Any]]:
    kind = column.type
    if pa.types.is_decimal(kind):
        whole = pa.decimal128(kind.precision, 0)
        scaled = pa.Array.from_buffers(whole, len(column), column.buffers(), offset=column.offset)
        return scaled.cast(pa.int64()), {"logicalType": "FIXED", "precision": kind.precision, "scale": kind.scale}
    if pa.types.is_timestamp(kind):
        microseconds = column.cast(pa.int64())
        seconds = pc.divide(microseconds, 1_000_000)
        rest = pc.multiply(pc.subtract(microseconds, pc.multiply(seconds, 1_000_000)), 1_000).cast(pa.int32())
        moments = pa.StructArray.from_arrays([seconds, rest], ["epoch", "fraction"])
        return moments, {"logicalType": "TIMESTAMP_NTZ", "scale": _NANOSECONDS}
    names = {pa.string(): "TEXT", pa.int64(): "FIXED", pa.bool_(): "BOOLEAN"}
    return column, {"logicalType": names[kind]}


def _told(field: pa.Field) -> dict[str, Any]:
    metadata = {name.decode(): value.decode() for name, value in field.metadata.items()}
    is_number = metadata["logicalType"] in ("FIXED", "TIMESTAMP_NTZ")
    digits = {"precision": int(metadata["precision"]), "scale": int(metadata["scale"])} if is_number else {}
    return {**_NOTHING, "name": field.name, "type": metadata["logicalType"].lower(), **digits}


def _counted(count: int) -> tuple[pa.Schema, dict[str, Any]]:
    table = snowflakes(pa.table({"row_count": pa.array([count], pa.int64())}))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    told = base64.b64encode(sink.getvalue().to_pybytes()).decode()
    return table.schema, {"rowsetBase64": told, "total": 1}


def _packed(path: Path, groups: range) -> Iterator[bytes]:
    """A chunk, packed while it is read: the connector waits seven seconds for a byte."""
    packer = zlib.compressobj(1, wbits=31)
    for piece in _ipc(path, groups):
        yield packer.compress(piece)
    yield packer.flush()


def _ipc(path: Path, groups: range) -> Iterator[bytes]:
    """Row groups of a file as one stream of Arrow's, a batch for each."""
    sink, writer = _Sink(), None
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in groups:
            table = snowflakes(file.read_row_group(group))
            writer = writer or pa.ipc.new_stream(sink, table.schema)
            writer.write_table(table)
            yield sink.taken()
    if writer is not None:
        writer.close()
    yield sink.taken()


class _Sink:
    """A file from which what was written is taken away."""

    closed = False

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += memoryview(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        told, self._written = bytes(self._written), bytearray()
        return told


if __name__ == "__main__":
    Snowflake.file = Path(sys.argv[1])
    Snowflake.megabytes = float(sys.argv[2]) if sys.argv[2:] else None
    serve_for_ever(Snowflake)
