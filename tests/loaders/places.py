"""Where loaders run: here, or in an environment of their own, where a small program asks them."""

import json
import os
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PATIENCE_S: Final = 600
"""The slowest of them takes a minute to be imported."""


def asked(place: str, question: Any) -> Any:
    """What the loader of `.venv-loader-<place>` says to `question`, by `probes/ask_<place>.py`: JSON in and out.

    Skips the test where there is no such environment.
    """
    python = _python(place)
    if python is None:
        pytest.skip(f"no .venv-loader-{place}: `make .venv-loader-{place}/.done` says why")
    probe = Path(__file__).parent / "probes" / f"ask_{place}.py"
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "VIRTUAL_ENV"))}
    ended = subprocess.run(
        [python, probe],
        input=json.dumps(question).encode(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        env=alone | OFFLINE | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr.decode()[-4000:]
    return json.loads(ended.stdout.splitlines()[-1])


def version_of(package: str, place: str | None) -> str | None:
    """The version of a package, here or in an environment of its own; None where that is not there."""
    if place is None:
        return version(package)
    python = _python(place)
    if python is None:
        return None
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, check=True, text=True).stdout.strip()


def _python(place: str) -> Path | None:
    folder = ROOT / f".venv-loader-{place}"
    return folder / "bin" / "python" if (folder / ".done").exists() else None


OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "CUDA_VISIBLE_DEVICES": "",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Nobody is called, and nobody counts us."""


def lines(paths: Sequence[Path]) -> list[Any]:
    """The rows of JSONL files."""
    return [json.loads(line) for path in paths for line in path.read_text().split("\n") if line]
