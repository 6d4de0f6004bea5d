"""List a bucket of very many keys: keys for each second, and whether memory stays flat.

    python -m benchmarks.bench_listing [--keys 10000000] [--only client,storage,copy]

A small S3 server of its own answers listings (ListObjectsV2) with keys that it makes up page by
page, in a process of its own, so that nothing grows there either. Three ways over the keys:

    client      the pages of the S3 client
    storage     the outlines of the storage's folder, as a scan for a copy reads them
    copy        the listing stage of a copy: every file is planned and packed into batches,
                slice after slice, with what is left going back as it does through the journal

Memory is the resident memory of the listing process, looked at after each tenth of the keys.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from random import Random
from urllib.parse import parse_qs, urlsplit

import psutil

from longshore.domain.checksum import ChecksumKind
from longshore.domain.storage import StorageKind, StorageReference, folder_address
from longshore.domain.task import ConflictResolution
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import Destination, ExecutionPlan, Source, WorkKind
from longshore.pipeline.messages.replies import ScanReply
from longshore.pipeline.messages.work import encode, first_scan
from longshore.pipeline.mover import Mover
from longshore.storage.backends.object_store.s3 import open_client
from longshore.storage.backends.object_store.storage import ObjectStorage, open_object_storage
from longshore.storage.backends.posix import PosixStorage

PAGE_KEYS = 1000
TENTHS = 10
DIGITS = 10  # of the number in a key
FILE_BYTES = 4096
SLICE_SECONDS = 5.0  # of a mover, as by default
SOURCE = StorageReference(StorageKind.CLOUD_BUCKET, 1)
DESTINATION = StorageReference(StorageKind.NAS_SHARE, 1)
HEAD = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><EncodingType>url</EncodingType>'
OBJECT = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag>"
    f"<Size>{FILE_BYTES}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


class Keys(BaseHTTPRequestHandler):
    """Answers listings of `keys` keys: numbers, each with so many digits that they are sorted."""

    protocol_version = "HTTP/1.1"
    keys = 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if not query.get("prefix", "").isdigit() and query.get("prefix"):
            return self._answer(HEAD + "</ListBucketResult>")
        start = query.get("continuation-token") or query.get("start-after", "")
        first = int(start) + 1 if start.isdigit() else 0
        last = min(first + int(query.get("max-keys", PAGE_KEYS)), self.keys)
        found = [OBJECT.format(key=f"{number:0{DIGITS}}") for number in range(first, last)]
        more = last < self.keys
        token = f"<NextContinuationToken>{last - 1:0{DIGITS}}</NextContinuationToken>"
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token if more else ''}"
        return self._answer("".join((HEAD, truncated, *found, "</ListBucketResult>")))

    def do_HEAD(self) -> None:
        self.send_response(200 if urlsplit(self.path).path.count("/") < 3 else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def _answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def by_client(settings: Mapping[str, str]) -> Iterator[int]:
    client = open_client(settings)
    for page in client.pages():
        yield len(page.objects)
    client.close()


def by_storage(settings: Mapping[str, str]) -> Iterator[int]:
    with bucket_of(settings) as storage, storage.open_folder(b"") as folder:
        for entry in folder.outlines():
            assert entry.size == FILE_BYTES
            yield 1


def by_copy(settings: Mapping[str, str]) -> Iterator[int]:
    """What the movers of a copy into an empty folder list, slice after slice."""
    with tempfile.TemporaryDirectory() as destination:
        plan = plan_of(destination)
        mover = Mover(
            open_storage=lambda address: (
                bucket_of(settings)
                if address.reference == SOURCE
                else PosixStorage(address.reference, os.fsencode(destination))
            ),
            open_filter=lambda _: None,
            monotonic=time.monotonic,
            time_ns=time.time_ns,
        )
        pending, numbers = [encode(first_scan(plan))], count(1)
        while pending:
            reply = mover(
                WorkOrder(
                    work_id=next(numbers),
                    kind=WorkKind.SCAN,
                    plan=encode(plan),
                    payload=pending.pop(0),
                    fresh=True,
                )
            )
            assert isinstance(reply, ScanReply)
            pending += [each.payload for each in reply.remaining]
            yield reply.found_files


def plan_of(destination: str) -> ExecutionPlan:
    source = Source(
        storage=folder_address(SOURCE, "bucket"),
        path=b"",
        target=b"",
        target_name=b"",
        root_id=None,
        optional=False,
    )
    return ExecutionPlan(
        execution_id=1,
        task_id=1,
        sources=[source],
        destinations=[Destination(folder_address(DESTINATION, destination), None)],
        conflict=ConflictResolution.OVERWRITE,
        checksum=ChecksumKind.NONE,
        verify=True,
        callbacks=[],
        workers=1,
        slice_seconds=SLICE_SECONDS,
        batch_files=1000,
        batch_bytes=1 << 28,
    )


def bucket_of(settings: Mapping[str, str]) -> ObjectStorage:
    return open_object_storage(
        SOURCE, open_client(settings), settings, sleep=time.sleep, chance=Random(1)
    )


WAYS: Mapping[str, Callable[[Mapping[str, str]], Iterator[int]]] = {
    "client": by_client,
    "storage": by_storage,
    "copy": by_copy,
}


def serve(keys: int, ready: multiprocessing.SimpleQueue[int]) -> None:
    """Answer until the process is ended."""
    Keys.keys = keys
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    ready.put(server.server_address[1])
    server.serve_forever()


class Meter:
    """Counts keys, and looks at the memory after each tenth of them."""

    def __init__(self, name: str, keys: int) -> None:
        self._name, self._keys, self._count = name, keys, 0
        self._step = max(keys // TENTHS, 1)
        self._memory: list[float] = []
        self._process = psutil.Process()
        self._begun, self._cpu = time.perf_counter(), time.process_time()

    def add(self, keys: int) -> None:
        before, self._count = self._count, self._count + keys
        if before // self._step != self._count // self._step:
            self._memory.append(self._process.memory_info().rss / 1e6)
            print(f"{self._name:8} {self._count:>10} keys, {self._memory[-1]:.0f} MB", flush=True)

    def show(self) -> None:
        seconds, cpu = time.perf_counter() - self._begun, time.process_time() - self._cpu
        if self._count != self._keys:
            raise SystemExit(f"{self._name}: {self._count} of {self._keys} keys")
        print(
            f"{self._name:8} {self._count:>10} keys {seconds:8.1f} s {self._count / seconds:9.0f}/s"
            f" {cpu:8.1f} s of processor {self._count / cpu:9.0f}/s"
            f"   memory {self._memory[0]:5.0f} MB after a tenth, {self._memory[-1]:5.0f} MB at the"
            f" end, {max(self._memory):5.0f} MB at most",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="List a bucket of very many keys.")
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--only", default="client,storage,copy")
    chosen = parser.parse_args()
    ready: multiprocessing.SimpleQueue[int] = multiprocessing.SimpleQueue()
    server = multiprocessing.Process(target=serve, args=(chosen.keys, ready), daemon=True)
    server.start()
    try:
        settings = {
            "endpoint": f"http://127.0.0.1:{ready.get()}",
            "bucket": "bucket",
            "access_key": "key",
            "secret_key": "secret",
        }
        for name, listing in WAYS.items():
            if name in chosen.only.split(","):
                meter = Meter(name, chosen.keys)
                for keys in listing(settings):
                    meter.add(keys)
                meter.show()
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
