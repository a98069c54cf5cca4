"""A proxy with a classifier of labelled items before its calls, whose model replays their gold; and what it logged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.labelled.gold import gold_file
from tests.labelled.loading import Item
from tests.running import Proxy, until
from tests.webhooks import Receiver

CONFIG = """
default_provider = "sim"
[log]
durability = "process"
[simulator]
dialogues = "{folder}/dialogues.jsonl"
gold = ["{folder}/gold.jsonl"]
[webhooks]
hosts = ["{host}"]
secret = "file:{folder}/secret"
[classifiers.intent]
when = "before"
labels = {{{labels}}}
context = {{turns = 4}}
deadline_ms = {deadline}
audit_share = {audits}
audit_after_s = 0
llm = {{model = "{model}"}}
actions = [
    {{on = "{route}", min_confidence = 0.5, do = "route", target = "sim/chunks-2"}},
    {{on = "{reply}", min_confidence = 0.5, do = "reply", text = "Goodbye."}},
    {{on = "{webhook}", min_confidence = 0.5, do = "webhook", url = "{url}"}},
]
"""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What is classified: items, the dialogues they stand in, and which label does `route`, `reply` and `webhook`."""

    items: Sequence[Item]
    dialogues: bytes
    acts: Mapping[str, str]

    @property
    def labels(self) -> list[str]:
        """All of them."""
        return sorted({label for item in self.items for label in item.labels})

    def config(self, folder: Path, hook: Receiver, *, model: str, deadline: int = 20_000, audits: float = 0.0) -> str:
        """The proxy's settings; the files they name are written to `folder`."""
        (folder / "dialogues.jsonl").write_bytes(self.dialogues)
        (folder / "gold.jsonl").write_bytes(gold_file(self.items))
        (folder / "secret").write_text(hook.secret)
        labels = ", ".join(f'"{label}" = ""' for label in self.labels)
        return CONFIG.format(
            folder=folder, host=hook.url.split("/")[2], url=hook.url, labels=labels, model=model, deadline=deadline,
            audits=audits, **self.acts,
        )  # fmt: skip


def labels_of(running: Proxy, count: int, where: str = "mode = 'live'") -> dict[str, dict[str, Any]]:
    query = f"SELECT *, lower(hex(completion)) AS of FROM label WHERE {where}"
    rows = until(lambda: found if len(found := running.select(query)) >= count else None, query)
    assert len({row["of"] for row in rows}) == len(rows), "each turn once"
    return {row["of"]: row for row in rows}


def actions_of(running: Proxy) -> list[dict[str, Any]]:
    return running.select('SELECT DISTINCT lower(hex(completion)) AS hex, "do" FROM action')
