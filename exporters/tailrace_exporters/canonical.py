"""A canonical row as JSON: what a notebook iterates over and `preview --json` prints."""

from tailrace.records import Json
from tailrace_exporters.rows import Placed, Row, id_text, teachers


def canonical(placed: Placed) -> dict[str, Json]:
    """All that is known of a row.

    `messages` (OpenAI's shape, tool arguments as text), `tools`, `response_format`; `train`, for each message whether
    it is learned; `kind`, and for other kinds than a conversation its `judgement`; `split`, `group` and `chain`;
    `completion_ids`, in the order of the conversation's context and learned answers; `teacher`, as `provider/model`;
    `labels` by classifier, each `{"label", "confidence", "source"}`; `made`; the head's `tags`; and `hash`, its name.
    """
    row = placed.row
    return {
        "hash": placed.hash.hex(),
        "kind": row.kind.value,
        "messages": list(row.messages),
        "tools": row.tools,
        "response_format": row.response_format,
        "train": list(row.train),
        "judgement": _judgement(row),
        "split": placed.split,
        "group": id_text(placed.group),
        "chain": id_text(placed.chain),
        "completion_ids": [id_text(completion.id) for completion in (*row.context, *row.learned)],
        "teacher": teachers(row),
        "labels": {
            each.classifier: {"label": each.label, "confidence": each.confidence, "source": each.source}
            for each in row.labels
        },
        "made": made_as_json(row),
        "tags": row.tags,
    }


def made_as_json(row: Row) -> list[Json]:
    """What was done to a row's words, in order."""
    return [
        {
            "stage": made.stage.value,
            "by": made.by,
            "answers": [id_text(id_) for id_ in made.answers],
            "depth": made.depth,
        }
        for made in row.made
    ]


def _judgement(row: Row) -> Json | None:
    if row.judgement is None:
        return None
    return {
        "reason": row.judgement.reason,
        "confidence": row.judgement.confidence,
        "wanted": row.judgement.wanted,
        "rejected": row.judgement.rejected,
    }
