"""The checkers of vendors, and of formats that no trainer reads: each gives the number of rows that it accepted."""

import json
from pathlib import Path
from typing import Any, Final

import jsonschema
import mlcroissant
import pytest
from google.genai import types
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import FinetuningMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV3, ValidationMode
from together.lib.utils.files import check_file

from tests.loaders.places import asked, lines

SCHEMA: Final = json.loads(Path(__file__).with_name("fine_tuning.json").read_text())


def files(folder: Path, suffix: str = ".jsonl") -> list[Path]:
    """The data of a target, a file a split."""
    return sorted(folder.glob(f"*{suffix}"))


def openai(kind: str) -> jsonschema.Draft202012Validator:
    """The schema of one kind of OpenAI's files."""
    return jsonschema.Draft202012Validator(SCHEMA | {"$ref": f"#/$defs/{kind}"})


def openai_chat(folder: Path, _scratch: Path) -> int:
    return _valid(folder, "chat")


def openai_dpo(folder: Path, _scratch: Path) -> int:
    return _valid(folder, "preference")


def openai_rft(folder: Path, _scratch: Path) -> int:
    for row in lines(files(folder)):
        assert row["messages"][-1]["role"] == "user"
        assert row["reference_answer"] or row["reference_tool_calls"], "nothing for the grader to read"
    return _valid(folder, "reinforcement")


def _valid(folder: Path, kind: str) -> int:
    rows = lines(files(folder))
    for row in rows:
        openai(kind).validate(row)
    return len(rows)


def together(folder: Path, _scratch: Path) -> int:
    rows = 0
    for path in files(folder):
        report = check_file(path)
        assert report["is_check_passed"], report["message"]
        rows += report["num_samples"]
    return rows


def mistral(folder: Path, _scratch: Path) -> int:
    rows = lines(files(folder))
    for row in rows:
        mistral_complaint(row, fails=True)
    return len(rows)


def mistral_complaint(row: Any, *, fails: bool = False) -> str | None:
    """What Mistral's validator for fine-tuning has against a row; with `fails`, as an exception."""
    validator = MistralRequestValidatorV3(ValidationMode.finetuning)
    try:
        validator.validate_request(ChatCompletionRequest[FinetuningMessage].model_validate(row))
    except (MistralCommonException, ValueError) as exc:
        if fails:
            raise
        return str(exc)
    return None


def gemini(folder: Path, _scratch: Path) -> int:
    rows = lines(files(folder))
    for row in rows:
        assert set(row) <= {"systemInstruction", "contents", "tools"}
        for content in [*row["contents"], *([row["systemInstruction"]] if "systemInstruction" in row else [])]:
            types.Content.model_validate(content)
        for tool in row.get("tools", ()):
            types.Tool.model_validate(tool)
    return len(rows)


def nova(folder: Path, _scratch: Path) -> int:
    rows = lines(files(folder))
    assert nova_complaint(rows) is None
    return len(rows)


def nova_complaint(rows: list[Any]) -> str | None:
    said: str | None = asked("nova", {"rows": rows})["complaint"]
    return said


def croissant(folder: Path, _scratch: Path) -> int:
    """The metadata has no errors, and names every row of the files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        dataset = mlcroissant.Dataset(jsonld="metadata.json")
        assert not dataset.metadata.issues.errors, dataset.metadata.issues.report()
        return sum(1 for records in dataset.metadata.record_sets for _ in dataset.records(records.id))
