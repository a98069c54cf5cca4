"""What the doctor finds, each thing well and ill."""

import json
import os
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server

import pytest
from pydantic import SecretStr

from tailrace import cli, datadir
from tailrace.commands import doctor_checks
from tailrace.commands.doctor_checks import Finding, Verdict, data_folder, network, reach, versions
from tailrace.settings import Log, Provider, Server, Settings
from tailrace.simulate.server import serve
from tailrace.simulate.simulator import Simulator


def at(folder: Path, **server: object) -> Settings:
    return Settings(log=Log(data_dir=folder), server=Server.model_validate({"port": 0, **server}))


def by_subject(findings: Iterator[Finding] | list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_versions_name_everything_that_serves() -> None:
    found = by_subject(versions())
    for name in (
        "tailrace",
        "python",
        "platform",
        "litestar",
        "uvicorn",
        "uvloop",
        "httpx",
        "httptools",
        "orjson",
        "h11",
    ):
        assert found[name].verdict is Verdict.OK, found[name]
    assert {"pydantic", "SQLAlchemy", "aiosqlite"} <= found.keys()
    assert found["sqlite"].value == sqlite3.sqlite_version


def test_an_old_sqlite_is_explained_and_an_old_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    monkeypatch.setattr(doctor_checks, "version", lambda name: "3.11.5" if name == "orjson" else "99.0")
    found = by_subject(versions())
    assert found["sqlite"].verdict is Verdict.OK
    assert "only its writer process" in found["sqlite"].advice
    assert found["orjson"].verdict is Verdict.FAIL
    assert found["litestar"].verdict is Verdict.OK
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert by_subject(versions())["sqlite"].advice == ""


def test_a_folder_that_is_not_there_is_no_fault_and_is_not_made(tmp_path: Path) -> None:
    found = by_subject(data_folder(at(tmp_path / "a" / "b")))
    assert found["data folder"].verdict is Verdict.OK
    assert "disk space" in found
    assert list(tmp_path.iterdir()) == []


def test_a_held_folder_names_the_holder_and_nothing_stays_behind(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with datadir.hold(folder):
        found = by_subject(data_folder(at(folder)))
        assert found["held by"].value == f"process {os.getpid()}"
    assert by_subject(data_folder(at(folder)))["held by"].value == "nobody"
    assert found["permissions"].verdict is Verdict.OK
    assert found["disk sync"].value.startswith("median ")
    assert [path.name for path in folder.iterdir()] == [datadir.LOCK]


def test_files_that_others_can_read_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with datadir.hold(folder):
        (folder / "tailrace.db").touch()
        (folder / "tailrace.db").chmod(0o644)
    finding = by_subject(data_folder(at(folder)))["permissions"]
    assert finding.verdict is Verdict.WARN
    assert "tailrace.db" in finding.value
    assert "chmod" in finding.advice


def test_a_file_in_place_of_the_folder_fails(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("")
    assert by_subject(data_folder(at(path)))["data folder"].verdict is Verdict.FAIL


def test_a_port_free_taken_and_taken_by_the_tailrace_that_runs_here(tmp_path: Path) -> None:
    with closing(create_server(("127.0.0.1", 0))) as other:
        settings = at(tmp_path / "data", port=other.getsockname()[1])
        assert by_subject(network(settings))["port"].verdict is Verdict.FAIL
        with datadir.hold(tmp_path / "data"):
            finding = by_subject(network(settings))["port"]
            assert finding.verdict is Verdict.OK
            assert str(os.getpid()) in finding.advice
    assert by_subject(network(settings))["port"].value.endswith("is free")


def test_too_few_file_descriptors_are_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    assert by_subject(network(at(tmp_path)))["file descriptors"].verdict is Verdict.WARN
    assert by_subject(network(at(tmp_path, max_in_flight=100)))["file descriptors"].verdict is Verdict.OK


async def test_a_provider_that_answers_and_one_that_is_not_there() -> None:
    async with await serve("127.0.0.1", 0, Simulator(dialogues=())) as server:
        good = Provider(base_url=server.url, api_key=SecretStr("k"))
        with closing(create_server(("127.0.0.1", 0))) as closed:
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        found = by_subject(await reach(Settings(providers={"good": good, "gone": Provider(base_url=url)})))
    assert found["provider good"].verdict is Verdict.OK
    assert found["provider gone"].verdict is Verdict.FAIL
    assert url in found["provider gone"].value


@pytest.mark.parametrize(
    ("status", "has_key", "verdict"),
    [
        (200, True, Verdict.OK),
        (404, True, Verdict.OK),
        (401, False, Verdict.OK),
        (401, True, Verdict.FAIL),
        (500, True, Verdict.WARN),
    ],
)
def test_what_a_providers_status_says(status: int, has_key: bool, verdict: Verdict) -> None:
    assert doctor_checks.judge("provider x", status, has_key=has_key).verdict is verdict


@contextmanager
def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> Iterator[int]:
    monkeypatch.setattr(sys, "argv", ["tailrace", "doctor", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    yield ended.value.code


def test_the_command_prints_lines_or_json_and_its_code_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_SERVER__PORT", "0")
    with called(monkeypatch) as code:
        assert code == 0
        assert "ok    sqlite" in capsys.readouterr().out
    with called(monkeypatch, "--json") as code:
        assert code == 0
        assert {"subject", "verdict", "value", "advice"} == set(json.loads(capsys.readouterr().out)[0])
    monkeypatch.setenv("TAILRACE_SERVER__PROT", "0")
    with called(monkeypatch) as code:
        assert code == 1
        out = capsys.readouterr().out
        assert "fail  settings           TAILRACE_SERVER__PROT: server.prot: unknown key" in out
        assert "ok    sqlite" in out, "versions are told also where the settings are wrong"
