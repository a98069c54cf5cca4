"""`tailrace keys create | list | change | revoke`: who may call, who may administer. A token is shown once."""

import asyncio
import getpass
import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
import typer

from tailrace import settings_load
from tailrace.commands.keeping import Keeper, keeping_under
from tailrace.commands.options import AsJson, Config, DataDir
from tailrace.commands.reading import data_folder, reading
from tailrace.commands.terminal import echo_json, iso_utc, one_line
from tailrace.errors import UserError
from tailrace.ids import uuid7
from tailrace.keys import TOKEN_BYTES, Key, KeyKind, key_json, new_token, token_hash
from tailrace.records import DEFAULT_PROJECT, Change, ChangeKind, Endpoint
from tailrace.store import keys as stored

app = typer.Typer(
    help="Make, list, change and revoke keys.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

_MARK: Final = blake2b(b"keys", digest_size=4).hexdigest()
_MOST_CHARS: Final = 100

Models = Annotated[list[str] | None, typer.Option("--model", help="A model it may ask for (`gpt-5*`); repeat.")]
Endpoints = Annotated[list[str] | None, typer.Option("--endpoint", help="An endpoint it may call; repeat.")]
PerMinute = Annotated[int | None, typer.Option("--rpm", min=1, help="Requests a minute.")]
TokensPerMinute = Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens a minute, in and out.")]
AtOnce = Annotated[int | None, typer.Option("--concurrency", min=1, help="Calls at once.")]
PerDay = Annotated[float | None, typer.Option("--usd-per-day", min=0.0, help="Most it may cost a day (UTC).")]
PerMonth = Annotated[float | None, typer.Option("--usd-per-month", min=0.0, help="Most it may cost a month (UTC).")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="A time (2027-01-31) or a span from now (90d, 12h).")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; you will see it in lists and metrics.")],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="A key for /api, all of it.")] = False,
    read: Annotated[bool, typer.Option("--read", help="A key for /api, what only reads.")] = False,
    project: Annotated[str, typer.Option(help="Whose log its completions are in.")] = DEFAULT_PROJECT,
    models: Models = None,
    endpoints: Endpoints = None,
    rpm: PerMinute = None,
    tpm: TokensPerMinute = None,
    concurrency: AtOnce = None,
    usd_per_day: PerDay = None,
    usd_per_month: PerMonth = None,
    expires: Expires = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and show its token, this once."""
    if admin and read:
        raise UserError("keys create: --admin and --read are two kinds of keys; give one of them")
    kind = KeyKind.ADMIN if admin else KeyKind.READ if read else KeyKind.CLIENT
    token = new_token(kind, secrets.token_bytes(TOKEN_BYTES))

    wanted = Key(
        id=f"key_{secrets.token_hex(6)}",
        hash=token_hash(token.encode()),
        kind=kind,
        name=_named(name),
        created_us=0,
        project=_named(project),
        models=tuple(models or ()),
        endpoints=_endpoints(endpoints),
        requests_per_min=rpm,
        tokens_per_min=tpm,
        concurrency=concurrency,
        usd_per_day=usd_per_day,
        usd_per_month=usd_per_month,
    )
    key = _keep(config, data_dir, partial(_create, wanted, expires))
    if as_json:
        echo_json(orjson.dumps({"token": token, **_public(key)}))
        return
    typer.echo(token)
    typer.echo(f"{key.id} ({key.kind}): the token above is shown only now; what is kept is its hash", err=True)


async def _create(wanted: Key, expires: str | None, keeper: Keeper) -> Key:
    now = keeper.clock.now_us()
    key = replace(wanted, created_us=now, expires_us=_expiry(expires, now))
    await keeper.change(_change(ChangeKind.KEY_CREATED, key, now))
    return key


@app.command(name="list")
def list_(as_json: AsJson = False, config: Config = None, data_dir: DataDir = None) -> None:
    """The keys, revoked ones too."""
    keys = asyncio.run(_read(data_folder(config, data_dir, os.environ)))
    if as_json:
        for key in keys:
            echo_json(orjson.dumps(_public(key)))
        return
    for key in keys:
        typer.echo(_line(key))
    if not keys:
        typer.echo("no keys: whoever reaches the proxy may call it; `tailrace keys create NAME` makes one")


@app.command()
def change(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id (key_…).")],
    *,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    models: Models = None,
    endpoints: Endpoints = None,
    rpm: PerMinute = None,
    tpm: TokensPerMinute = None,
    concurrency: AtOnce = None,
    usd_per_day: PerDay = None,
    usd_per_month: PerMonth = None,
    expires: Expires = None,
    lift: Annotated[
        list[str] | None, typer.Option("--lift", metavar="OPTION", help="A limit to take away: rpm, model, …; repeat.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Change what a key may do; what is not named stays."""
    said: dict[str, Any] = {
        "name": None if name is None else _named(name),
        "models": tuple(models) if models else None,
        "endpoints": _endpoints(endpoints) or None,
        "requests_per_min": rpm,
        "tokens_per_min": tpm,
        "concurrency": concurrency,
        "usd_per_day": usd_per_day,
        "usd_per_month": usd_per_month,
    }
    changes = {field: value for field, value in said.items() if value is not None} | _lifted(lift or ())

    async def work(keeper: Keeper) -> Key:
        key = _find(await _read(data_folder(config, data_dir, os.environ)), key_id)
        now = keeper.clock.now_us()
        if expires is not None:
            changes["expires_us"] = _expiry(expires, now)
        changed = replace(key, **changes)
        if changed == key:
            raise UserError(f"keys change: nothing of {key_id} is changed by that; `tailrace keys change --help`")
        await keeper.change(_change(ChangeKind.KEY_CHANGED, changed, now))
        return changed

    typer.echo(_line(_keep(config, data_dir, work)))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id (key_…).")],
    *,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Let a key in no more: within five seconds, for good."""

    async def work(keeper: Keeper) -> Key:
        key = _find(await _read(data_folder(config, data_dir, os.environ)), key_id)
        if key.revoked_us is not None:
            raise UserError(f"{key_id}: was revoked {iso_utc(key.revoked_us)}")
        now = keeper.clock.now_us()
        revoked = replace(key, revoked_us=now)
        await keeper.change(_change(ChangeKind.KEY_REVOKED, revoked, now))
        return revoked

    typer.echo(_line(_keep(config, data_dir, work)))


_LIFT: Final[dict[str, tuple[str, Any]]] = {
    "model": ("models", ()),
    "endpoint": ("endpoints", ()),
    "rpm": ("requests_per_min", None),
    "tpm": ("tokens_per_min", None),
    "concurrency": ("concurrency", None),
    "usd-per-day": ("usd_per_day", None),
    "usd-per-month": ("usd_per_month", None),
    "expires": ("expires_us", None),
}


def _lifted(words: Sequence[str]) -> dict[str, Any]:
    for word in words:
        if word not in _LIFT:
            raise UserError(f"keys change: --lift {word!r}: expected one of {', '.join(_LIFT)}")
    return dict(_LIFT[word] for word in words)


def _keep(config: Path | None, data_dir: Path | None, work: Any) -> Key:
    settings = settings_load.load(config, os.environ)
    folder = settings.log.data_dir if data_dir is None else data_dir

    async def kept() -> Key:
        async with keeping_under(settings, folder, _MARK) as keeper:
            done: Key = await work(keeper)
        return done

    return asyncio.run(kept())


async def _read(folder: Path) -> list[Key]:
    async with reading(folder) as connection:
        return await stored.keys(connection)


def _find(keys: Sequence[Key], key_id: str) -> Key:
    for key in keys:
        if key.id == key_id:
            return key
    raise UserError(f"{key_id!r}: no such key; `tailrace keys list` has their ids")


def _change(what: ChangeKind, key: Key, at_us: int) -> Change:
    id_: UUID = uuid7(at_us // 1000, os.urandom(10))
    return Change(id_, at_us, f"command:{getpass.getuser()}", what, key.id, key_json(key))


def _named(text: str) -> str:
    if not text or len(text) > _MOST_CHARS or not text.isprintable():
        raise UserError(f"{text[:40]!r}: expected a printable name of at most {_MOST_CHARS} characters")
    return text


def _endpoints(words: Sequence[str] | None) -> tuple[str, ...]:
    known = [word.value for word in Endpoint]
    for word in words or ():
        if word not in known:
            raise UserError(f"--endpoint {word!r}: expected one of {', '.join(known)}")
    return tuple(words or ())


_SPANS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def _expiry(text: str | None, now_us: int) -> int | None:
    if text is None:
        return None
    try:
        if text[-1:] in _SPANS:
            at_us = now_us + int(text[:-1]) * int(_SPANS[text[-1]].total_seconds()) * 10**6
        else:
            moment = datetime.fromisoformat(text)
            at_us = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 10**6
    except (OverflowError, ValueError) as exc:
        raise UserError(f"--expires {text!r}: expected a time such as 2027-01-31, or a span such as 90d") from exc
    if at_us <= now_us:
        raise UserError(f"--expires {text!r}: lies in the past")
    return at_us


def _public(key: Key) -> dict[str, Any]:
    return {name: value for name, value in key_json(key).items() if name != "hash"}


def _line(key: Key) -> str:
    said = [key.id, f"{key.kind:<6}", one_line(key.name)]
    if key.kind is KeyKind.CLIENT:
        said.append(f"project {one_line(key.project)}")
    if key.models:
        said.append(f"models {one_line(', '.join(key.models))}")
    if key.endpoints:
        said.append(f"endpoints {', '.join(key.endpoints)}")
    limits = {
        "rpm": key.requests_per_min,
        "tpm": key.tokens_per_min,
        "at once": key.concurrency,
        "USD/day": key.usd_per_day,
        "USD/month": key.usd_per_month,
    }
    said += [f"{value:,} {unit}" for unit, value in limits.items() if value is not None]
    if key.expires_us is not None:
        said.append(f"until {iso_utc(key.expires_us)}")
    if key.revoked_us is not None:
        said.append(f"REVOKED {iso_utc(key.revoked_us)}")
    return "  ".join(said)
