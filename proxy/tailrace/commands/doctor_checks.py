"""What `tailrace doctor` looks at: each check looks at one thing and returns findings. Changes nothing that stays."""

import os
import platform
import resource
import shutil
import socket
import sqlite3
import ssl
import stat
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from tailrace import __version__, datadir
from tailrace.errors import TailraceError, UserError
from tailrace.listen import listen
from tailrace.settings import Provider, Settings
from tailrace.upstream.client import Outgoing, open_upstream

_AT_LEAST: Final = {"litestar": (2, 22), "orjson": (3, 11, 6), "h11": (0, 16)}  # older ones have known holes
_PACKAGES: Final = (
    "litestar", "uvicorn", "uvloop", "httptools", "httpx", "h11", "orjson", "pydantic", "SQLAlchemy", "sqlmodel",
    "aiosqlite", "zstandard", "google-crc32c", "prometheus-client", "structlog", "certifi",
)  # fmt: skip
_WAL_RESET_FIXED: Final = (3, 51, 3)
_LITTLE_DISK_BYTES: Final = 2 * 2**30
_SYNCS: Final = 20
_SYNC_BYTES: Final = 4096
_SLOW_SYNC_MS: Final = 20.0
_OTHER_FDS: Final = 256
_MOST_NAMED: Final = 3


class Verdict(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARN = "warn"  # works, and the user should know
    FAIL = "fail"  # `tailrace serve` would refuse, or lose something


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `advice` says what to do, or why nothing needs to be done."""

    subject: str
    verdict: Verdict
    value: str
    advice: str = ""


def versions() -> Iterator[Finding]:
    """Ours, Python's, the system's, and those of the packages that serve."""
    yield Finding("tailrace", Verdict.OK, __version__)
    yield Finding("python", Verdict.OK, f"{platform.python_implementation()} {platform.python_version()}")
    yield Finding("platform", Verdict.OK, platform.platform())
    for name in _PACKAGES:
        yield _package(name)
    yield _sqlite(sqlite3.sqlite_version_info)
    yield Finding("tls", Verdict.OK, ssl.OPENSSL_VERSION)


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Disk, permissions, and who holds the folder."""
    folder = settings.log.data_dir
    yield _access(folder)
    if folder_is_usable(settings):
        yield _permissions(folder)
        pid = datadir.holder(folder)
        yield Finding("held by", Verdict.OK, "nobody" if pid is None else f"process {pid}")
        yield _sync(folder)
    yield _space(_nearest(folder))


def folder_is_usable(settings: Settings) -> bool:
    """Whether the data folder is there and this user may read and write in it."""
    folder = settings.log.data_dir
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.W_OK | os.X_OK)  # noqa: PTH112 never raises


def network(settings: Settings) -> Iterator[Finding]:
    """Whether the port is free, and whether there are enough file descriptors."""
    yield _port(settings)
    yield _descriptors(settings)


async def reach(settings: Settings) -> list[Finding]:
    """Ask every provider for its models, with the key of the settings where there is one."""
    return [await _reach(name, provider) for name, provider in settings.providers.items()]


def _package(name: str) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, Verdict.FAIL, "missing", "install Tailrace's locked dependencies (`make setup`)")
    least = _AT_LEAST.get(name.lower())
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
    if least is not None and numbers < least:
        wanted = ".".join(map(str, least))
        return Finding(name, Verdict.FAIL, found, f"has known holes; install {wanted} or newer (`make setup`)")
    return Finding(name, Verdict.OK, found)


def _sqlite(found: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, found))
    if found >= _WAL_RESET_FIXED:
        return Finding("sqlite", Verdict.OK, text)
    why = (
        "before 3.51.3 two connections that write or checkpoint at once can corrupt a WAL; "
        "Tailrace is safe: only its writer process does either, on one connection"
    )
    return Finding("sqlite", Verdict.OK, text, why)


def _access(folder: Path) -> Finding:
    nearest = _nearest(folder)
    if nearest.is_dir() and os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        is_there = nearest == folder.absolute()
        return Finding("data folder", Verdict.OK, str(folder), "" if is_there else "the first start makes it")
    advice = "make it a folder that this user can read and write, or set log.data_dir"
    why = "" if nearest == folder.absolute() else f", because {nearest} cannot be written"
    return Finding("data folder", Verdict.FAIL, f"{folder} cannot be used{why}", advice)


def _permissions(folder: Path) -> Finding:
    """No one but the owner may look in: 0700 for the folder, 0600 for the files in it."""
    open_to_others = [
        str(path)
        for path in (folder, *sorted(folder.glob("*")))
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if not open_to_others:
        return Finding("permissions", Verdict.OK, "readable by the owner only")
    named = ", ".join(open_to_others[:_MOST_NAMED])
    return Finding("permissions", Verdict.WARN, f"open to others: {named}", f"run `chmod -R go= {folder}`")


def _sync(folder: Path) -> Finding:
    try:
        times_ms = sorted(_sync_times_ms(folder))
    except OSError as exc:
        return Finding("disk sync", Verdict.FAIL, exc.strerror or str(exc), "the folder must be writable")
    median_ms = statistics.median(times_ms)
    slow = median_ms > _SLOW_SYNC_MS
    advice = 'each answer waits for one; a faster disk, or log.durability = "process"' if slow else ""
    value = f"median {median_ms:.2f} ms, slowest {times_ms[-1]:.2f} ms of {_SYNCS}"
    return Finding("disk sync", Verdict.WARN if slow else Verdict.OK, value, advice)


def _sync_times_ms(folder: Path) -> Iterator[float]:
    sync = os.fsync if sys.platform == "darwin" else os.fdatasync
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            file.write(b"\0" * _SYNC_BYTES)
            file.flush()
            begun_ns = time.perf_counter_ns()
            sync(file.fileno())
            yield (time.perf_counter_ns() - begun_ns) / 1e6


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    value = f"{free / 2**30:.1f} GiB free at {folder}"
    if free >= _LITTLE_DISK_BYTES:
        return Finding("disk space", Verdict.OK, value)
    return Finding("disk space", Verdict.WARN, value, "free some, or set log.data_dir; a full disk refuses calls (503)")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return folder if os.path.exists(folder) else _nearest(folder.parent)  # noqa: PTH110 never raises


def _port(settings: Settings) -> Finding:
    server = settings.server
    address = f"{server.host}:{server.port}"
    try:
        listen(server.host, server.port).close()
    except UserError as exc:
        pid = datadir.holder(settings.log.data_dir)
        if pid is not None and _answers(server.host, server.port):
            return Finding("port", Verdict.OK, address, f"in use; the Tailrace with pid {pid} runs")
        return Finding("port", Verdict.FAIL, address, str(exc))
    return Finding("port", Verdict.OK, f"{address} is free")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _descriptors(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * settings.server.max_in_flight + _OTHER_FDS  # a call has the client's connection and the provider's
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return Finding("file descriptors", Verdict.OK, "no limit" if hard == resource.RLIM_INFINITY else str(hard))
    advice = f"server.max_in_flight wants {needed} per worker; raise the hard limit (`ulimit -Hn`) or lower the setting"
    return Finding("file descriptors", Verdict.WARN, str(hard), advice)


async def _reach(name: str, provider: Provider) -> Finding:
    subject = f"provider {name}"
    key = provider.api_key
    headers = [(header.lower(), value.get_secret_value()) for header, value in provider.headers.items()]
    if key is not None:
        headers.append(("authorization", f"Bearer {key.get_secret_value()}"))
    encoded = tuple((header.encode(), value.encode()) for header, value in headers)
    try:
        upstream = open_upstream(name, provider)
        try:
            answer = await upstream.call(Outgoing("GET", "/models", b"", encoded, b""), provider.timeout)
            answer.close()
        finally:
            await upstream.aclose()
    except TailraceError as exc:
        return Finding(subject, Verdict.FAIL, f"{provider.base_url}: {exc}", "check base_url, the network, the proxy")
    return judge(subject, answer.status, has_key=key is not None)


def judge(subject: str, status: int, *, has_key: bool) -> Finding:
    """What a provider's status for `GET /models` says about it and the key."""
    value = f"answers {status} to GET /models"
    if status in {401, 403}:
        if not has_key:
            return Finding(subject, Verdict.OK, value, "no key in the settings: callers bring theirs")
        return Finding(subject, Verdict.FAIL, value, "the key is refused; store a valid one where api_key points")
    if status < 400 or status == 404:  # not every provider lists its models
        return Finding(subject, Verdict.OK, value)
    return Finding(subject, Verdict.WARN, value, "reachable, and not well")
