"""What is measured of other processes, from /proc: CPU seconds and resident memory. And nginx, to stand beside."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")

NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 256; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; client_max_body_size 64m;
    }}
  }}
}}
"""


def cpu_s(pids: list[int]) -> float:
    """User and system CPU seconds that processes have used so far, threads included."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * _TICK_S


def resident_mb(pids: list[int]) -> float:
    """Memory of processes in MB: their own and their share of what several map (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1000


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running bare reverse proxy."""

    port: int
    pids: list[int]


@contextmanager
def nginx(provider_port: int) -> Iterator[Nginx | None]:
    """nginx as a bare reverse proxy before the provider, connections kept alive; None where it is not installed."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tailrace-nginx-") as folder:
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, provider=provider_port, port=port))
        process = subprocess.Popen([binary, "-c", str(config), "-p", folder], stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            yield Nginx(port, [int(pid) for pid in child_pids(process.pid)])
        finally:
            process.terminate()
            process.wait(10)


def child_pids(pid: int) -> list[int]:
    """The children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Returns when something listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
