"""The settings written down: as TOML (effective, or the commented example) and as Markdown. Pure; docs tests use it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tailrace.records import Json
from tailrace.settings import OPENAI_URL, Settings
from tailrace.settings_examples import PROVIDERS
from tailrace.settings_schema import bare, origin
from tailrace.settings_table import Table, keys_of, parse_bytes

_HEADER: Final = """\
# Every setting of Tailrace with its default; `#key = …` is not set. Keep only the lines you change.
# In the environment: TAILRACE_SERVER__PORT=4701 sets `port` of [server]."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAMES: Final = {
    "providers": "openai",
    "models": "support-bot",
    "prices": '"gpt-5-mini"',
    "classifiers": "reply_intent",
}
"""What a user's own table is called in the example."""
_OFF: Final = ("models.", "prices.", "classifiers.", "webhooks")
"""Tables that the example comments out."""
_REQUIRED: Final = {
    "base_url": OPENAI_URL,
    "targets": [
        {"provider": "openai", "model": "gpt-5-mini", "weight": 90},
        {"provider": "sim", "model": "echo", "templates": "templates.json"},
    ],
    "provider": "openai",
    "model": "gpt-5-mini",
    "share": 0.05,
    "input_usd_per_mtok": 0.25,
    "output_usd_per_mtok": 2,
    "from": "gold/reply_intent.jsonl",
    "label": "confirm",
    "on": "reject",
    "do": "route",
}
_GIVEN: Final = ("base_url", "api_key")
_UNSET: Final = {
    "api_key": "client",
    "auth": "bearer",
    "proxy": "http://proxy.example:3128",
    "ca_file": "/etc/ssl/own-ca.pem",
    "dialogues": "dialogues.jsonl",
    "max_concurrency": 64,
    "templates": "templates.json",
    "fallback": ["openai/gpt-5"],
    "cached_input_usd_per_mtok": 0.025,
    "cache_write_usd_per_mtok": 0.25,
    "input_audio_usd_per_mtok": 10,
    "output_audio_usd_per_mtok": 20,
    "step": ">=2",
    "question": "Which date does the user name?",
    "instructions": "prompts/reply_intent.md",
    "documents": "docs/policies",
    "embeddings": "text-embedding-3-small",
    "temperature": 0,
    "max_tokens": 200,
    "role": "assistant",
    "target": "retention-bot",
    "text": "Thank you. We have stopped.",
    "url": "https://hooks.example.com/tailrace",
    "tag": "intent",
    "secret": "env:WEBHOOK_SECRET",
    "admin": "env:ADMIN_KEY",
}
_SHOWN: Final = {
    "shadow": [{"provider": "openai", "model": "gpt-5-nano", "share": 0.05}],
    "labels": {
        "confirm": "agrees or accepts",
        "reject": "declines or wants something else",
        "question": "asks before deciding",
        "none": "anything else",
    },
    "glossary": {"PNR": "booking reference"},
    "rules": [
        {"label": "confirm", "any": [r"(?i)^(yes|yep|sure|ok(ay)?)\b"], "not": [r"(?i)\bbut\b"], "role": "assistant"},
        {"label": "reject", "exact": ["no", "no thanks"]},
        {"label": "question", "all": [r"(?i)\b(what|when|how)\b", r"\?"]},
    ],
    "actions": [
        {"on": "reject", "min_confidence": 0.95, "do": "route", "target": "retention-bot", "dry_run": True},
        {"on": "confirm", "do": "tag", "tag": "intent"},
        {"on": "question", "do": "note", "text": "The user is still undecided."},
        {"on": "reject", "do": "webhook", "url": "https://hooks.example.com/tailrace"},
    ],
    "hosts": ["hooks.example.com"],
}
"""What the example shows instead of a default that says nothing."""
_PROVIDERS_HEADER: Final = (
    "# ---- Providers, to be uncommented and kept. Their names are yours to choose: clients ask for `name/model`."
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of one table, as the docs show it. `default` is TOML; None where the key must be given or is unset."""

    table: str
    key: str
    default: str | None
    example: str
    meaning: str


def settings() -> Iterator[tuple[str, str, list[Setting]]]:
    """Each table as (name, meaning, its settings), the root first; a user's own names stand as in the example."""
    yield from _tables("", Settings)


def example() -> str:
    """Every setting with its meaning and its default, as a file that loads; what has no default is commented out."""
    lines = [_HEADER]
    for table, meaning, entries in settings():
        if entries and "[]" not in table:  # an array's entries stand inline
            off = "#" if table.startswith(_OFF) else ""
            lines += ["", f"# {meaning}", f"{off}[{table}]"] if table else [""]
            for entry in entries:
                given = entry.default is not None or entry.key in _GIVEN
                lines += [f"# {entry.meaning}", f"{'' if given and not off else '#'}{entry.key} = {entry.example}"]
    providers = re.sub(r"^(?=[^#\n])", "#", PROVIDERS, flags=re.MULTILINE)
    return "\n".join([*lines, "", _PROVIDERS_HEADER, "", providers])


def markdown() -> str:
    """One Markdown table for each TOML table: key, default, meaning."""
    lines: list[str] = []
    for table, meaning, entries in settings():
        if entries:
            lines += [f"### `[{table}]`" if table else "### Top level", "", meaning, ""]
            lines += ["| key | default | meaning |", "|---|---|---|"]
            lines += [f"| `{e.key}` | {f'`{e.default}`' if e.default else ''} | {e.meaning} |" for e in entries]
            lines.append("")
    return "\n".join(lines)


def as_toml(values: Mapping[str, Json], table: str = "") -> str:
    """`values` as TOML; what is None is left out."""
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping) and value is not None}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    text = (f"\n[{table}]\n" if table and plain else "") + "".join(f"{line}\n" for line in lines)
    for key, value in values.items():
        if isinstance(value, Mapping):
            text += as_toml(value, f"{table}.{_key(key)}" if table else _key(key))
    return text


def _tables(name: str, kind: type[Table]) -> Iterator[tuple[str, str, list[Setting]]]:
    below: list[tuple[str, type[Table]]] = []
    entries: list[Setting] = []
    for key, field in keys_of(kind).items():
        inner = _inner(field)
        if inner is None or inner[0] == "[]":
            entries.append(_setting(name, key, field))
        if inner is not None:
            suffix = inner[0].replace("NAME", _NAMES.get(key, "NAME"))
            below.append((f"{name}.{key}{suffix}" if name else f"{key}{suffix}", inner[1]))
    yield name, " ".join((kind.__doc__ or "").split()), entries
    for path, kind_below in below:
        yield from _tables(path, kind_below)


def _inner(field: FieldInfo) -> tuple[str, type[Table]] | None:
    """The table that a field holds, and what is added to its name where it holds many of them."""
    kind, suffix = bare(field.annotation), ""
    if origin(kind) is dict:
        kind, suffix = bare(get_args(kind)[1]), ".NAME"
    elif origin(kind) is tuple:
        kind, suffix = bare(get_args(kind)[0]), "[]"
    return (suffix, kind) if isinstance(kind, type) and issubclass(kind, Table) else None


def _setting(table: str, key: str, field: FieldInfo) -> Setting:
    default = field.get_default(call_default_factory=True, validated_data={})
    meaning = " ".join((field.description or "").split())
    if default is PydanticUndefined or default is None:
        return Setting(table, key, None, _value({**_REQUIRED, **_UNSET}[key]), meaning)
    shown = _value(_size(default) if _is_size(field) else default)
    return Setting(table, key, shown, _value(_SHOWN[key]) if key in _SHOWN and not default else shown, meaning)


def _is_size(field: FieldInfo) -> bool:
    return any(getattr(part, "func", None) is parse_bytes for part in field.metadata)


def _size(value: int) -> Json:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value % factor == 0:
            return f"{value // factor} {unit}"
    return value


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Json) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None)
        return f"{{{inner}}}"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value)
    return _text(str(value))


def _text(text: str) -> str:
    """A string as TOML has it, with nothing in it that a terminal would obey: TOML refuses most of that anyway."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in quoted)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
