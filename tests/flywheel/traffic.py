"""What the application asks, and how it asks it: one user turn a call, with what was said before, for one intent."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from tests.labelled.loading import Item, Split, multidogo_airline
from tests.running import Proxy

AT_ONCE: Final = 32
CONTEXT: Final = 2
"""Turns before the one that is asked about."""
SYSTEM: Final = "Name the intent of the message."
PATIENCE_S: Final = 120.0
FILED_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Said:
    """An answer to the question about an item, as the application got it."""

    item: Item
    provider: str
    """Who gave it, by the log."""
    label: str | None
    """None where it is no JSON object with a label."""

    @property
    def is_right(self) -> bool:
        return self.label in self.item.labels


def items(root: Path, split: Split) -> list[Item]:
    """The turns of a split; without the few that lost all their text to the source's cleaning."""
    return [item for item in multidogo_airline(root, split) if item.text.strip()]


def messages(item: Item) -> list[dict[str, str]]:
    """The question about an item."""
    before = "".join(f"{turn.role}: {turn.text}\n" for turn in item.before[-CONTEXT:])
    asked = f"{before}<message_to_classify>\n{item.text}\n</message_to_classify>"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


def form(labels: Sequence[str]) -> dict[str, Any]:
    """The answer's shape, as the application wants it."""
    shape = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "intent", "strict": True, "schema": shape}}


def asked(proxy: Proxy, model: str, given: Sequence[Item], labels: Sequence[str]) -> list[Said]:
    """Asks about every item, through the proxy, and waits until all calls are filed. In the items' order.

    Raises RuntimeError for an answer that is none, or a call that is not filed.
    """
    answers = asyncio.run(_ask_all(proxy.url, model, given, form(labels)))
    providers = _providers(proxy, [id_ for id_, _ in answers])
    return [Said(item, providers[id_], _label(text)) for item, (id_, text) in zip(given, answers, strict=True)]


async def _ask_all(url: str, model: str, given: Sequence[Item], shape: dict[str, Any]) -> list[tuple[str, str]]:
    """Id and text of each answer."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:

        async def one(item: Item) -> tuple[str, str]:
            body = {"model": model, "messages": messages(item), "response_format": shape}
            async with gate:
                answer = await client.post("/v1/chat/completions", json=body)
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code}: {answer.text}")
            content: str = answer.json()["choices"][0]["message"]["content"]
            return answer.headers["x-tailrace-id"], content

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(item)) for item in given]
    return [task.result() for task in running]


def _providers(proxy: Proxy, ids: Sequence[str]) -> dict[str, str]:
    """Which provider gave each answer, once the writer has filed them all."""
    deadline = time.monotonic() + FILED_S
    wanted = set(ids)
    while True:
        rows = proxy.select("SELECT lower(hex(id)) AS id, provider FROM completion")
        found = {row["id"]: row["provider"] for row in rows}
        named = {id_: found[id_.replace("-", "")] for id_ in wanted if id_.replace("-", "") in found}
        if len(named) == len(wanted):
            return named
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(wanted) - len(named)} calls were not filed within {FILED_S:g} s")
        time.sleep(0.5)


def _label(text: str) -> str | None:
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    label = said.get("label") if isinstance(said, dict) else None
    return label if isinstance(label, str) else None
