"""Clients of Node: openai-node and the Vercel AI SDK. npm installs them into a folder of their own, if there is npm."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients.places import Place, asks

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

SOURCES: Final = Path(__file__).parent / "node"
TEXT = "Hello dear world, 水車"
GUARD_S: Final = 110
STEP: Final = ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside their packages."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here")
    made = tmp_path_factory.mktemp("node")
    for source in SOURCES.iterdir():
        shutil.copy(source, made)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
    subprocess.run(command, cwd=made, check=True, timeout=GUARD_S)
    return made


def run(folder: Path, script: str, place: Place) -> Any:
    """What a script prints."""
    env = os.environ | {"BASE_URL": place.base_url, "SESSION": place.session, "AI_SDK_LOG_WARNINGS": "false"}
    done = subprocess.run(
        ["node", script], cwd=folder, env=env, capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@asks("chat")
def test_openai_node(folder: Path, place: Place) -> None:
    got = run(folder, "openai.mjs", place)
    assert (got["plain"], got["streamed"], got["tool"]) == (TEXT, TEXT, '{"city":"Rome"}')
    assert got["usage"] > 0
    assert (got["response"], got["kept"]) == (TEXT, TEXT)
    assert (got["events"][:4], got["events"][-1]) == (STEP, "response.completed")
    assert (got["embedded"], got["file"]) == ([8, 8], ["train.jsonl", 300_000])
    assert (got["left"], got["error"]) == ("chat.completion.chunk", [429, "insufficient_quota"])
    for endpoint, status in (("chat.completions", "client_closed"), ("responses", "ok"), ("embeddings", "ok")):
        place.logged(endpoint, status)


@asks("chat")
def test_vercel_ai_sdk(folder: Path, place: Place) -> None:
    got = run(folder, "ai.mjs", place)
    for kind in ("responses", "chat", "compatible"):
        seen = got[kind]
        assert (seen["plain"], seen["streamed"], seen["finish"], seen["usage"]) == (TEXT, TEXT, "stop", True), kind
        assert "18 C in Rome" in seen["looped"], kind
        assert seen.get("object") in ({"name": TEXT, "days": 0.5}, None), kind
    assert got["embedded"] == [64, 64]
    for endpoint in ("chat.completions", "responses", "embeddings"):
        place.logged(endpoint)
