"""Labels, actions and feedback beside the completions of a test's log, and which of them count, read plainly.

`values` is the documented meaning once more, without SQL: what the language is tested against.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from tailrace.store.query.beside import Marks

Rows = list[dict[str, Any]]
ALL: Final = Marks(10**9, 10**9, 10**9, 10**9)
CLASSIFIERS: Final = ("intent", "tone-2")
TEXTS: Final = ("confirm", "reject", "gpt-5", "confirm\nreject", "", '{"a":1}', "É")


def labels(completions: Sequence[dict[str, Any]]) -> Rows:
    """Labels of some of the completions; on many several, and of people's few."""
    found: Rows = []
    for n in range(3 * len(completions)):
        if n % 5 == 0:
            continue
        of = completions[n * 7 % len(completions)]
        source = ("llm", "rule", "human", "student", "llm", "cache")[n % 6]
        mode = "live" if source == "human" or n % 4 else ("shadow", "audit")[n % 8 // 4]
        text = None if n % 11 == 0 else TEXTS[n % len(TEXTS)]
        rank = 0 if text is None or mode != "live" else 2 if source == "human" else 1
        found.append(
            {
                "seq": len(found) + 1, "id": UUID(int=n).bytes, "at_us": n, "completion": of["id"],
                "classifier": CLASSIFIERS[n // 7 % 3 // 2], "version": ("v1", "v2")[n // 40 % 2], "source": source,
                "mode": mode, "rank": rank, "text": text, "value": b"1", "latency_us": n, "note": None,
                "confidence": None if n % 3 == 0 else n % 7 / 8, "error": "off_list" if n % 13 == 0 else None,
                "who": "ada" if source == "human" and n % 4 else None,
            }
        )  # fmt: skip
    return found


def actions(completions: Sequence[dict[str, Any]]) -> Rows:
    """Actions, of which some came farther than they had."""
    found: Rows = []
    for n in range(len(completions)):
        of = completions[n * 11 % len(completions) // 2]
        found.append(
            {
                "seq": len(found) + 1, "id": UUID(int=n).bytes, "at_us": n, "completion": of["id"],
                "classifier": CLASSIFIERS[n % 2], "version": "v1", "label": TEXTS[n % 3],
                "do": ("route", "webhook", "tag", "reply", "note")[n % 5], "key": f"k{n % 2}",
                "outcome": ("planned", "retried", "done", "failed")[n // 7 % 4],
                "target": None if n % 4 == 0 else f"t{n % 3}", "dry_run": n % 3 == 0, "attempts": n % 4, "error": None,
            }
        )  # fmt: skip
    return found


def feedback(completions: Sequence[dict[str, Any]]) -> Rows:
    """Feedback, some of it on the same completion, some on none."""
    found: Rows = []
    for n in range(len(completions)):
        of = completions[n * 13 % len(completions) // 2]
        found.append(
            {
                "seq": n + 1, "id": f"f{n}", "at_us": n, "project": "p", "target": "t",
                "completion": None if n % 9 == 0 else of["seq"], "source": ("user", "judge")[n % 2],
                "score": None if n % 3 == 0 else n % 5 / 4, "thumb": (None, "up", "down")[n % 3],
                "text": None if n % 2 else f"word {n % 4}", "correction": b"{}" if n % 4 == 0 else None,
            }
        )  # fmt: skip
    return found


def values(
    name: str, row: dict[str, Any], completions: Sequence[dict[str, Any]], beside: dict[str, Rows], marks: Marks = ALL
) -> list[Any]:
    """What the field `name` of the completion `row` may be: several, one, or nothing."""
    space, _, rest = name.partition(".")
    if space == "next":
        after = [one for one in completions if _follows(one, row) and one["seq"] <= marks.completions]
        return values(rest, after[0], completions, beside, marks) if after else []
    if space == "label":
        classifier, _, part = rest.partition(".")
        return _label(row["id"], classifier, part or "text", beside["label"], marks)
    if space == "action":
        of = [one for one in beside["action"] if one["completion"] == row["id"] and one["seq"] <= marks.actions]
        newest = {one["key"]: one for one in of}
        return [one[rest] for one in newest.values()]
    return [one[rest] for one in beside["feedback"] if one["completion"] == row["seq"] and one["seq"] <= marks.feedback]


def _follows(one: dict[str, Any], row: dict[str, Any]) -> bool:
    return bool(one.get("parent") == row["seq"] and one["chain"] == row["chain"] and one["origin"] == row["origin"])


def _label(completion: bytes, classifier: str, part: str, rows: Rows, marks: Marks) -> list[Any]:
    of = [one for one in rows if one["completion"] == completion and one["classifier"] == classifier]
    told = [one for one in of if one["text"] is not None and one["seq"] <= marks.labels]
    is_person: Callable[[dict[str, Any]], bool] = lambda one: one["source"] == "human"  # noqa: E731
    people = [one for one in told if is_person(one)]
    live = [one for one in told if one["mode"] == "live"]
    return [(people or live)[-1][part]] if people or live else []
