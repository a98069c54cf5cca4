"""How a provider's table says where its calls go and how they carry a key. Pure."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode

from tailrace.relay.outbound import Header
from tailrace.settings import Provider, split_base_url
from tailrace.wire.dialect import Dialect

_PATH_SAFE: Final = "/%:@!$&'()*+,;=~{}"  # RFC 3986, section 3.3, what is encoded already, and the model's place

_AUTHS: Final[dict[str, Callable[[bytes], Header]]] = {
    "bearer": lambda key: (b"authorization", b"Bearer " + key),
    "x-api-key": lambda key: (b"x-api-key", key),
    "api-key": lambda key: (b"api-key", key),
    "x-goog-api-key": lambda key: (b"x-goog-api-key", key),
}
"""The words of `settings.Provider.auth`."""


def path_prefix(provider: Provider) -> str:
    """What stands before each call's path, with `{model}` in it; empty where the base URL says it all."""
    return quote(split_base_url(provider.base_url)[1], safe=_PATH_SAFE)


def own_query(provider: Provider) -> bytes:
    """What is added to each call's query, encoded."""
    return urlencode(provider.query).encode()


def own_headers(provider: Provider) -> tuple[Header, ...]:
    """The headers that the settings add to each call."""
    return tuple(
        (name.lower().encode("latin-1"), value.get_secret_value().encode("latin-1"))
        for name, value in provider.headers.items()
    )


def name_credential(provider: Provider, dialect: Dialect) -> Callable[[bytes], Header]:
    """The header that carries a key to this provider."""
    return dialect.credential if provider.auth is None else _AUTHS[provider.auth]


def own_credential(provider: Provider, dialect: Dialect) -> Header | None:
    """The header with the settings' own key; None where there is none to send."""
    key = "" if provider.api_key is None else provider.api_key.get_secret_value()
    return name_credential(provider, dialect)(key.encode()) if key else None


def takes_callers_key(provider: Provider) -> bool:
    """Whether the caller's own key is passed on (`api_key = "client"`)."""
    return provider.api_key is None
