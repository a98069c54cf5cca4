"""The TLS context of a provider: its certificate and host name are always verified, and nothing falls back to plain."""

import ssl
from pathlib import Path

import certifi


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A verifying context for HTTP/1.1. Takes some 20 ms and is worth keeping.

    Trusts `ca_file` alone where one is given, else the system's authorities (or those that `SSL_CERT_FILE` and
    `SSL_CERT_DIR` name), else certifi's where the system has none. Raises OSError for a file that is none of PEM.
    """
    if ca_file is not None:
        context = ssl.create_default_context(cafile=ca_file)
    elif _system_has_authorities():
        context = ssl.create_default_context()
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _system_has_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or (bool(paths.capath) and any(Path(paths.capath).iterdir()))
