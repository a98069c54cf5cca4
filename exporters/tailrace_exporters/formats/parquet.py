"""Parquet for the Hugging Face hub: conversations, with Croissant metadata and a card for the hub beside.

    messages: [{role, content, name, tool_call_id, tool_calls}]    tools: JSON text or null    train: [bool]

Content is always text, arguments are JSON text, and all tools of a row are one JSON text: a column of objects would
give each the keys of all others, with nulls. `train` says for each message whether it is learned; TRL and others that
learn whole conversations ignore it. Source of the metadata: Croissant 1.0 (MLCommons).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Beside, Format, Line, Problem
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES, message
from tailrace_exporters.rows import Row
from tailrace_exporters.sheets import SUFFIX

PARAMETERS: Final = "arguments_as_text"
_MEMBERS: Final = ("role", "content", "name", "tool_call_id", "tool_calls")
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
)
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def project(row: Row) -> Line:
    """A row as one row of the file."""
    shaper = Shaper(row)
    messages = [_message(shaper, index) for index in range(len(row.messages))]
    tools = shaper.tools()
    line = {"messages": messages, "tools": None if tools is None else _text(tools), "train": list(row.train)}
    return Line(line, frozenset(shaper.rules))


def _message(shaper: Shaper, index: int) -> dict[str, Json]:
    made = message(shaper, index)
    calls = made.get("tool_calls")
    if calls:
        shaper.rules.add(PARAMETERS)
        made["tool_calls"] = [_call(call) for call in calls]
    return {name: made.get(name) for name in _MEMBERS}


def _call(call: dict[str, Json]) -> dict[str, Json]:
    function = call["function"]
    return {
        "id": call["id"],
        "type": call["type"],
        "function": {"name": function["name"], "arguments": _text(function["arguments"])},
    }


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def check(line: Json) -> Iterator[Problem]:
    """That marks and messages belong together."""
    messages, marks = items(at(line, "messages")), items(at(line, "train"))
    if len(marks) != len(messages):
        yield Problem("/train", "expected a mark for each message")
    for index, (each, learned) in enumerate(zip(messages, marks, strict=False)):
        if learned and at(each, "role") != "assistant":
            yield Problem(f"/train/{index}", "expected false: only answers are learned")


def beside(told: Beside) -> Mapping[str, Json | str]:
    """Croissant's description of the files, and the hub's card."""
    return {"metadata.json": _croissant(told), "README.md": _hub_card(told)}


def _croissant(told: Beside) -> Json:
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "application/x-parquet",  # Croissant's word, not IANA's: mlcroissant reads no other
            "sha256": file.sha256,
        }
        for name, file in told.files.items()
    ]
    records = [
        {
            "@type": "cr:RecordSet",
            "@id": f"rows-{name}",
            "name": f"rows-{name}",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"rows-{name}/tools",
                    "name": f"rows-{name}/tools",
                    "description": "The tools offered, as JSON text; nothing where there were none.",
                    "dataType": "sc:Text",
                    "source": {"fileObject": {"@id": name}, "extract": {"column": "tools"}},
                }
            ],
        }
        for name in told.files
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": told.name,
        "description": "Conversations logged and exported by Tailrace; card.md beside this folder says what they are.",
        "url": "./",
        "license": "unknown",
        "version": "1.0.0",
        "distribution": files,
        "recordSet": records,
    }


def _hub_card(told: Beside) -> str:
    rows = sum(file.rows for file in told.files.values())
    size = next((words for most, words in _SIZES if rows < most), "n>10M")
    splits: dict[str, list[str]] = {}
    for name, file in told.files.items():
        splits.setdefault(file.split, []).append(name)
    lines = ["---", "size_categories:", f"- {size}", "task_categories:", "- text-generation", "configs:"]
    lines += ["- config_name: default", "  data_files:"]
    for split, names in splits.items():
        lines += [f"  - split: {_hub_name(split)}", "    path:", *(f"    - {name}" for name in names)]
    lines += ["---", "", f"# {told.name}", ""]
    lines.append(
        f"{rows:,} conversations, exported by Tailrace. No licence is stated: whose words these are, and what may"
    )
    lines.append("be done with them, `card.md` of the export tells; say so here before you publish them.")
    return "\n".join(lines) + "\n"


def _hub_name(split: str) -> str:
    """A split's name as `datasets` takes it: word characters only."""
    return split.replace("-", "_")


FORMAT: Final = Format(
    about="Parquet for the Hugging Face hub, with Croissant metadata and a card",
    project=project,
    rules=TRL_RULES | {PARAMETERS: "the arguments of tool calls become JSON text"},
    reasons=TRL_REASONS,
    check=check,
    suffix=SUFFIX,
    beside=beside,
)
