"""openai-node and the Vercel AI SDK through the proxy, where Node is there (`make test-clients`)."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import Proxy

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients"), pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "node"
TEXT = "Hello dear world"


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node and npm are not installed")
def test_node_clients(running: Proxy, tmp_path: Path) -> None:
    for name in ("package.json", "clients.mjs"):
        shutil.copy(HERE / name, tmp_path / name)
    # No lock file: one records where each package was fetched from.
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], cwd=tmp_path, check=True
    )
    done = subprocess.run(
        ["node", "clients.mjs", running.url], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = {line["what"]: line["value"] for line in map(json.loads, done.stdout.splitlines())}
    assert said.pop("openai embeddings") is True
    assert set(said.values()) == {TEXT}
    assert len(said) == 7
