"""The student's figures on test splits: `make bench-student`. Trained on train splits only, with the defaults.

The data sets are looked for as `tests/classify/student/labelled.py` says. Prints the figures, and
writes them to `bench-out/student.json`.
"""

import csv
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, thread_time_ns
from typing import Any, Final

import numpy as np
import orjson

from tailrace.classify.calibration import expected_calibration_error
from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Fit, Item, train
from tailrace.classify.student.matrix import Header, write
from tailrace.classify.student.serve import Said, Student
from tailrace.classify.turn import Subject, Turn
from tests.classify.student.labelled import airline, whole

OUT: Final = Path("bench-out") / "student.json"
PLAIN: Final = Features(previous=0, assistant=0, step=0)
Split = list[Item]


@dataclass(frozen=True, slots=True)
class Set:
    """A data set as it is learned and judged."""

    name: str
    features: Features
    train: Split
    test: Split


def airline_items(split: str) -> Split:
    """User turns, the gold label of the turn before each, and its step."""
    found = []
    for n, chain in enumerate(airline(split)):
        turns: tuple[Turn, ...] = ()
        before = None
        for text, label in chain:
            found.append(Item(Subject(text, turns, before), (label,), b"%d" % n))
            turns, before = (*turns, Turn("user", text)), label
    return found


def banking(split: str) -> Split:
    """Single questions."""
    with (whole("banking77") / f"{split}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [Item(Subject(row["text"]), (row["category"],), b"%d" % n) for n, row in enumerate(rows)]


def star(split: str) -> Split:
    """User replies that a labelled action follows. The assistant's action before stands for the label before."""
    found = []
    for line in (whole("star") / f"{split}.jsonl").read_bytes().splitlines():
        dialogue = orjson.loads(line)
        turns: tuple[Turn, ...] = ()
        before = None
        spoken = [turn for turn in dialogue["turns"] if "text" in turn]
        for turn, following in zip(spoken, [*spoken[1:], {}], strict=True):
            if turn["role"] == "user" and "action" in following:
                found.append(
                    Item(Subject(turn["text"], turns, before), (following["action"],), str(dialogue["id"]).encode())
                )
            turns, before = (*turns, Turn(turn["role"], turn["text"])), turn.get("action", before)
    return found


def sets() -> Iterator[Set]:
    """Each set, with and without context where it has one."""
    air, air_test = airline_items("train"), airline_items("test")
    yield Set("multidogo_airline, with context", Features(), air, air_test)
    yield Set("multidogo_airline, text alone", PLAIN, air, air_test)
    yield Set("banking77", PLAIN, banking("train"), banking("test"))
    replies, replies_test = star("train"), star("test")
    yield Set("star, with context", Features(), replies, replies_test)
    yield Set("star, text alone", PLAIN, replies, replies_test)


def measure(data: Set, folder: Path) -> dict[str, Any]:
    """Trains, writes, serves, judges."""
    labels = sorted({label for item in data.train for label in item.labels})
    wall, cpu = perf_counter(), process_time()
    rows = train(data.train, labels, data.features, Fit())
    wall, cpu = perf_counter() - wall, process_time() - cpu
    path = folder / "student"
    header = Header("bench", 1, rows.labels, data.features, temperature=rows.temperature, trained=len(data.train))
    write(path, header, rows.weights, rows.bias)
    before = resident_kb()
    student, said, times_ns = Student.load(path), list[Said](), list[int]()
    for item in data.test:
        begin = thread_time_ns()  # CPU: other processes on the machine are not the student
        said.append(student.say(item.subject))
        times_ns.append(thread_time_ns() - begin)
    right = [each.labels == item.labels for each, item in zip(said, data.test, strict=True)]
    judged = [(each.confidence, ok) for each, ok in zip(said, right, strict=True)]
    return {
        "set": data.name,
        "labels": len(labels),
        "train": len(data.train),
        "test": len(data.test),
        "accuracy": sum(right) / len(right),
        "macro_f1": macro_f1([item.labels[0] for item in data.test], [each.labels[0] for each in said]),
        **{f"coverage_{level}": coverage(judged, level / 100) for level in (90, 95, 98)},
        "ece": expected_calibration_error(judged),
        "temperature": rows.temperature,
        "serve_cpu_p50_us": float(np.percentile(times_ns, 50)) / 1e3,
        "serve_cpu_p99_us": float(np.percentile(times_ns, 99)) / 1e3,
        "matrix_mb": path.stat().st_size / 1e6,
        "resident_more_mb": (resident_kb() - before) / 1e3,
        "fit_s": wall,
        "fit_cpu_s": cpu,
        "peak_mb_so_far": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def coverage(judged: list[tuple[float, bool]], level: float) -> float:
    """The largest share of the surest answers that is right so often; an oracle's threshold, not a promised one."""
    ordered = np.array([ok for _, ok in sorted(judged, key=lambda each: -each[0])])
    enough = np.flatnonzero(np.cumsum(ordered) / np.arange(1, len(ordered) + 1) >= level)
    return float(enough[-1] + 1) / len(ordered) if len(enough) else 0.0


def macro_f1(truth: list[str], told: list[str]) -> float:
    """Mean F1 over the labels that the truth has."""
    scores = []
    for label in set(truth):
        both = sum(one == other == label for one, other in zip(truth, told, strict=True))
        scores.append(2 * both / (truth.count(label) + told.count(label)))
    return sum(scores) / len(scores)


def resident_kb() -> int:
    """What this process holds, file pages included."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)


def main() -> None:
    """All sets."""
    told = []
    with TemporaryDirectory() as folder:
        for data in sets():
            told.append(measure(data, Path(folder)))
            sys.stdout.write(f"{orjson.dumps(told[-1], option=orjson.OPT_INDENT_2).decode()}\n")
            sys.stdout.flush()
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
