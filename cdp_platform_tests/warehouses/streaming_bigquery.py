"""A server that answers as BigQuery does while a long table is read or loaded: `… FILE`.

Whatever is selected from a table `people` is FILE. Its rows come in pages of JSON, of as many rows as the client asks
for; load jobs come as resumable uploads of Parquet. Every dataset and table is there.
"""

import json
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cdp_platform_tests.warehouses.streaming import Answering, serve_for_ever

_ROWS = re.compile(r"select\b.*\bfrom\s.*\bpeople\b", re.IGNORECASE | re.DOTALL)
_COUNT = re.compile(r"select count\(\*\)", re.IGNORECASE)
_ONE_NUMBER = [{"name": "row_count", "type": "INTEGER", "mode": "NULLABLE"}]


class BigQuery(Answering):
    """One project."""

    file: ClassVar[Path]
    jobs: ClassVar[dict[str, dict[str, Any]]] = {}
    asked_pages: ClassVar[list[int]] = []
    """Of each page that was asked for, how many rows at most."""
    loaded_files: ClassVar[int] = 0
    loaded_rows: ClassVar[int] = 0

    def respond(self, method: str) -> None:
        address = urlsplit(self.path)
        parts, body = address.path.strip("/").split("/"), self.body() if method in ("POST", "PUT") else b""
        if method == "DELETE":
            self.answer_bytes(b"", 204)
        elif "upload" in parts:
            self._upload(method, body, parse_qs(address.query).get("upload_id", [""])[0])
        elif method == "POST":
            self.answer(self._made(parts[-1], json.loads(body)))
        elif parts[-2] == "queries":
            self._page(parts[-1], parse_qs(address.query))
        elif parts[-2] == "jobs":
            self.answer(self.jobs[parts[-1]])
        else:
            self.answer({"schema": {"fields": _fields(pq.read_schema(self.file))}, "location": "EU"} | _named(parts))

    def _made(self, kind: str, told: dict[str, Any]) -> dict[str, Any]:
        if kind == "jobs":
            self.jobs[told["jobReference"]["jobId"]] = told = _done(told)
        return told

    def _upload(self, method: str, body: bytes, name: str) -> None:
        if method == "POST":
            told = self._made("jobs", json.loads(body))
            name = told["jobReference"]["jobId"]
            self.answer({}, Location=f"http://{self.headers['Host']}/upload?upload_id={name}")
        else:
            BigQuery.loaded_files += 1
            BigQuery.loaded_rows += pq.read_metadata(BytesIO(body)).num_rows
            self.answer(self.jobs[name])

    def _page(self, name: str, asked: dict[str, list[str]]) -> None:
        sql = self.jobs[name]["configuration"]["query"]["query"]
        told = {"kind": "bigquery#getQueryResultsResponse", "jobComplete": True, "jobReference": {"jobId": name}}
        most = int(asked.get("maxResults", ["0"])[0])
        if _COUNT.match(sql) or not _ROWS.match(sql):
            rows = [{"f": [{"v": str(self.loaded_rows)}]}] if most else []
            self.answer(told | {"schema": {"fields": _ONE_NUMBER}, "totalRows": "1", "rows": rows})
            return
        first = int(asked.get("pageToken", ["0"])[0])
        if most:
            self.asked_pages.append(most)
        with pq.ParquetFile(self.file, pre_buffer=False) as file:
            told["totalRows"] = str(file.metadata.num_rows)
            told["schema"] = {"fields": _fields(file.schema_arrow)}
            if most and first + most < file.metadata.num_rows:
                told["pageToken"] = str(first + most)
            rows = _rows(_taken(file, first, most)) if most else b""
        self.answer_bytes(json.dumps(told).encode()[:-1] + b', "rows": [' + rows + b"]}")


def _done(job: dict[str, Any]) -> dict[str, Any]:
    statistics = {"query": {"statementType": "SELECT", "totalBytesProcessed": "0"}, "load": {"outputRows": "0"}}
    return job | {"kind": "bigquery#job", "status": {"state": "DONE"}, "statistics": statistics}


def _named(parts: list[str]) -> dict[str, Any]:
    """What a dataset or a table says of itself."""
    names = {"projects": "projectId", "datasets": "datasetId", "tables": "tableId"}
    listed = {names[word]: parts[place + 1] for place, word in enumerate(parts) if word in names}
    return {"tableReference" if "tables" in parts else "datasetReference": listed}


def _fields(schema: pa.Schema) -> list[dict[str, Any]]:
    names = {pa.string(): "STRING", pa.int64(): "INTEGER", pa.bool_(): "BOOLEAN", pa.timestamp("us"): "DATETIME"}
    told = []
    for field in schema:
        is_number = pa.types.is_decimal(field.type)
        digits = {"precision": str(field.type.precision), "scale": str(field.type.scale)} if is_number else {}
        kind = "NUMERIC" if is_number else names[field.type]
        told.append({"name": field.name, "type": kind, "mode": "NULLABLE", **digits})
    return told


def _taken(file: pq.ParquetFile, first: int, most: int) -> pa.Table:
    """Rows of a file, whose row groups are of one length."""
    length = file.metadata.row_group(0).num_rows
    last = min(first + most, file.metadata.num_rows)
    groups = range(first // length, -(-last // length))
    return file.read_row_groups(list(groups)).slice(first - groups[0] * length, last - first)


def _rows(table: pa.Table) -> bytes:
    """Rows as BigQuery writes them; no value needs quotes of its own."""
    texts = [
        pc.strftime(column, "%Y-%m-%dT%H:%M:%S") if pa.types.is_timestamp(column.type) else column.cast(pa.string())
        for column in (column.combine_chunks() for column in table.columns)
    ]
    cells = [part for text in texts for part in ('"},{"v":"', text)]
    rows = pc.binary_join_element_wise('{"f":[{"v":"', *cells[1:], '"}]}', "")
    return ",".join(rows.to_pylist()).encode()


if __name__ == "__main__":
    BigQuery.file = Path(sys.argv[1])
    serve_for_ever(BigQuery)
