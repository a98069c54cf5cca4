"""Each provider of the example loads when it alone is uncommented, and says what its vendor's documentation says."""

import re
from pathlib import Path

import pytest

from tailrace.settings import Provider
from tailrace.settings_examples import PROVIDERS
from tailrace.settings_load import load

EXAMPLE = Path(__file__).parent.parent / "deploy" / "tailrace.example.toml"
TABLES = {re.search(r"^\[providers\.(.+)\]", each, re.MULTILINE)[1]: each for each in PROVIDERS.split("\n\n")}  # type: ignore[index]
KEY = "sk-the-vendors"


def uncommented(name: str) -> str:
    """The lines of one table, as a user uncomments them in the example."""
    begin = f"#[providers.{name}]\n"
    text = EXAMPLE.read_text()
    table = text[text.index(begin) :].split("\n\n")[0]
    return re.sub(r"^#", "", table, flags=re.MULTILINE)


def provider(name: str, tmp_path: Path) -> Provider:
    path = tmp_path / "tailrace.toml"
    path.write_text(f'default_provider = "{name}"\n\n{uncommented(name)}\n')
    return load(path, dict.fromkeys(re.findall(r"env:(\w+)", TABLES[name]), KEY)).providers[name]


def test_every_vendor_that_was_asked_for_is_there() -> None:
    assert TABLES.keys() == {
        "azure", "azure-dated", "openrouter", "groq", "together", "fireworks", "mistral", "deepseek", "vllm", "ollama",
        "llamacpp", "anthropic", "gemini",
    }  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_loads_when_it_is_uncommented(name: str, tmp_path: Path) -> None:
    found = provider(name, tmp_path)
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == ("" if name in {"ollama", "llamacpp"} else KEY)
    assert found.dialect == {"anthropic": "anthropic", "gemini": "gemini"}.get(name, "openai")
    assert found.base_url.startswith("http://127.0.0.1:" if name in {"vllm", "ollama", "llamacpp"} else "https://")
