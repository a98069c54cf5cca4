"""Where a client's calls go: straight to the simulated provider, or to it through the proxy."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.running import Proxy

PROXIED: Final = frozenset(
    {"chat", "completions", "embeddings", "responses", "messages", "models", "files", "audio", "images", "jobs"}
)
"""The families of endpoints that are tested through the proxy too. All others are only asked of the provider."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address for one family of endpoints. `proxy` is None where it is the provider's own."""

    url: str  # without `/v1`
    family: str
    proxy: Proxy | None
    session: str  # of one test

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return f"{self.url}/v1"

    def model(self, name: str) -> str:
        """What to ask for to get the scenario `name`: a bare name is the default provider's, who speaks OpenAI."""
        return f"claude/{name}" if self.proxy is not None and self.family == "messages" else name

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends with each call, so that its rows are found again."""
        return {"x-tailrace-session": self.session}

    def logged(self, endpoint: str, status: str = "ok") -> dict[str, Any]:
        """The first row of the test at `endpoint`, once one has ended with `status`; empty where no proxy logs."""
        rows = self.all_logged(endpoint, 1, status)
        return rows[0] if rows else {}

    def all_logged(self, endpoint: str, count: int, status: str = "ok") -> list[dict[str, Any]]:
        """As `logged`: the rows in order of arrival, once there are `count`."""
        if self.proxy is None:
            return []
        assert re.fullmatch(r"[a-z_.]+", endpoint + status)
        where = f"session = '{self.session}' AND endpoint = '{endpoint}' AND status = '{status}'"
        return self.proxy.rows(count, where)


def asks(family: str) -> Callable[[Any], Any]:
    """A test that asks a family of endpoints, of each place that has it."""
    kinds = ["direct", *(["proxied"] if family in PROXIED else [])]
    return pytest.mark.parametrize("place", [(kind, family) for kind in kinds], indirect=True, ids=kinds)
