"""What holds for all tests: no property is judged by its time, because the machine is shared; a command, typed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import typed

settings.register_profile("tailrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tailrace")


@pytest.fixture
def tailrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typed.Run:
    """Runs `tailrace …` in this process, in an empty folder and without anyone's settings or keys."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "TAILRACE_SERVER__PORT", "TAILRACE_LOG__DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return typed.run
