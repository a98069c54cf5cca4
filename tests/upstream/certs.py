"""A throw-away certificate authority, made by the `openssl` command: no private key lies in the repository."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_CA_CONFIG = """
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """`ca_file` is what a client trusts; `good`, `expired` and `elsewhere` are server certificates with their keys."""

    ca_file: Path
    good: Path
    expired: Path
    elsewhere: Path


def server_context(certificate: Path) -> ssl.SSLContext:
    """A server's TLS context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def make_authority(folder: Path) -> Authority:
    """An authority and three certificates: for localhost, one that is over, one for another host."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make certificates")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "ca.cnf").write_text(_CA_CONFIG.format(folder=folder))
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    key = ("-newkey", "rsa:2048", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Tailrace test CA")

    def issue(name: str, host: str, start: str, end: str) -> Path:
        san = f"subjectAltName=DNS:{host}"
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}", "-addext", san)
        run("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key",
            "-startdate", start, "-enddate", end, "-in", f"{name}.csr", "-out", f"{name}.crt")  # fmt: skip
        pem = folder / f"{name}.pem"
        pem.write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())
        return pem

    return Authority(
        ca_file=folder / "ca.pem",
        good=issue("good", "localhost", "20200101000000Z", "20990101000000Z"),
        expired=issue("expired", "localhost", "20200101000000Z", "20200201000000Z"),
        elsewhere=issue("elsewhere", "elsewhere.example", "20200101000000Z", "20990101000000Z"),
    )
