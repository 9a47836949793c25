"""What the servers of `streaming_snowflake` and `streaming_bigquery` share: rows of a Parquet file, over HTTP.

They speak as much of a vendor's protocol as the vendor's own client needs to read a table bit by bit, in pieces of the
vendor's sizes, and to send files, of which they keep the number of rows only. The emulators answer in one piece.
"""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa

_POLL_SECONDS = 0.02


def people(rows: int) -> pa.Table:
    """People with a number that has more digits than a binary fraction holds."""
    return pa.table(
        {
            "person_id": [f"p-{number}" for number in range(rows)],
            "lifetime_value": pa.array([Decimal(f"123456789012.{number:06}") for number in range(rows)]),
            "points": pa.array(range(rows), pa.int64()),
        }
    )


class Answering(BaseHTTPRequestHandler):
    """A handler that keeps its connections open and says nothing of what it does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def respond(self, method: str) -> None:
        """Answer the request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.respond("GET")

    def do_POST(self) -> None:
        self.respond("POST")

    def do_PUT(self) -> None:
        self.respond("PUT")

    def do_DELETE(self) -> None:
        self.respond("DELETE")

    def body(self) -> bytes:
        """What the request holds, unpacked."""
        length = self.headers.get("Content-Length")
        told = self.rfile.read(int(length)) if length is not None else b"".join(self._pieces())
        return gzip.decompress(told) if self.headers.get("Content-Encoding") == "gzip" else told

    def answer(self, told: Any, status: int = 200, **headers: str) -> None:
        """Answer with a document."""
        self.answer_bytes(json.dumps(told).encode(), status, **headers)

    def answer_bytes(self, content: bytes, status: int = 200, **headers: str) -> None:
        """Answer with a document that has been written already."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, pieces: Iterable[bytes], **headers: str) -> None:
        """Answer with bytes whose number is not known yet."""
        self.send_response(200)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        for piece in filter(None, pieces):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None:
        """Be silent."""

    def _pieces(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


@contextmanager
def serving(handler: type[Answering]) -> Iterator[int]:
    """Answer on a free port, which is told, in threads of this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(module: str, file: Path, *options: str) -> Iterator[int]:
    """Run one of the modules as a process of its own and stop it at the end; the answer is its port."""
    command = [sys.executable, "-m", f"{__package__}.{module}", file, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def serve_for_ever(handler: type[Answering]) -> None:
    """Answer on a free port, which is printed, until the process is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
