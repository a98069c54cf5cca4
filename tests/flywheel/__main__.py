"""`make flywheel`: traffic is logged, the log is exported, a model learns from it and answers in its teacher's place.

    python -m tests.flywheel [--rows 13000] [--epochs 8] [--share 50] [--judge test] [--out bench-out]

    applications ──▶ tailrace serve ──▶ teacher          the train split of multidogo_airline, a call a turn
                          │ log
                          ▼
                    tailrace export ──▶ TRL ──▶ model    a transformer from its configuration, on the CPU
                                                  │
    applications ──▶ tailrace serve ──▶ alias ──▶ teacher or model, by weight        the test split, unseen till then

The teacher is the simulated provider: it answers by gold, and is wrong in 5 of 100. Prints what model, teacher and the
commonest label are worth on the test split and writes it to `bench-out/flywheel.json`. The exit code is 1 where the
model is not clearly better than the commonest label. The data: `TAILRACE_DATA`, as `tests/labelled/loading.py` says.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.flywheel import judged, traffic
from tests.flywheel.traffic import Said
from tests.labelled.gold import gold_file
from tests.labelled.loading import Item, whole
from tests.running import PATIENCE_S, proxy

TEACHER: Final = "label-fixed-noise-5"
STUDENT: Final = "airline-intent"
CLEARLY: Final = 0.2
"""The least that the model must be better than the commonest label."""
ALONE: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait take the cores from each other
}
"""Nothing is downloaded."""
RECIPE: Final = """name = "airline-intent"
[select]
where = 'status = ok'
teacher_only = true
students = ["student/*"]
[assemble]
unit = "step"
[dedupe]
exact = false       # how often something is said is part of what is learned
[write]
formats = ["trl-messages"]
"""
TAUGHT: Final = """[simulator]
gold = ["{gold}"]
[models.intent]
targets = [{{provider = "sim", model = "{teacher}"}}]
"""
SHARED: Final = """default_provider = "student"
[simulator]
gold = ["{gold}"]
[providers.student]
base_url = "{student}/v1"
[models.intent]
fallback = []
[[models.intent.targets]]
provider = "sim"
model = "{teacher}"
weight = {rest}
[[models.intent.targets]]
provider = "student"
model = "{name}"
weight = {share}
[models.student]
targets = [{{provider = "student", model = "{name}"}}]
[models.teacher]
targets = [{{provider = "sim", model = "{teacher}"}}]
"""


def main() -> int:
    """Turns the wheel once."""
    told = arguments()
    root = whole()
    if root is None:
        raise SystemExit("the data is not here: set TAILRACE_DATA (tests/labelled/loading.py says to what)")
    train, judge = traffic.items(root, "train")[: told.rows], traffic.items(root, told.judge)
    labels = sorted({label for item in train for label in item.labels})
    folder = Path(tempfile.mkdtemp(prefix="tailrace-flywheel-"))
    began = perf_counter()
    logged(folder, train, labels)
    rows = exported(folder, "before")
    lesson = learned(folder, rows, told.epochs)
    shares, alone = answered(folder, judge, labels, told.share)
    again = exported(folder, "after")
    result = {
        "data": f"multidogo_airline, {told.judge} split",
        "learned_from": lesson,
        "rows_of_a_second_export": count(again),
        "majority": judged.majority(train, judge),
        "student": asdict(judged.score(alone["student"])),
        "student_new_texts": asdict(judged.score(judged.new_texts(train, alone["student"]))),
        "teacher": asdict(judged.score(alone["teacher"])),
        "agreement": judged.agreement(alone["student"], alone["teacher"]),
        "alias": {name: asdict(judged.score(said)) for name, said in shares.items()},
        "wall_s": perf_counter() - began,
    }
    shown(result)
    told.out.mkdir(exist_ok=True)
    (told.out / "flywheel.json").write_text(json.dumps(result, indent=2))
    return verdict(result)


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(prog="make flywheel")
    parser.add_argument("--rows", type=int, default=14_000, help="most turns of the train split")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--share", type=int, default=50, help="of 100 calls, how many the alias gives to the model")
    parser.add_argument("--judge", choices=["dev", "test"], default="test")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    return parser.parse_args()


def logged(folder: Path, train: Sequence[Item], labels: Sequence[str]) -> None:
    """The application's traffic: every turn of the train split, answered by the teacher."""
    gold = folder / "train.jsonl"
    gold.write_bytes(gold_file(train))
    config = TAUGHT.format(gold=gold, teacher=TEACHER)
    with proxy(folder / "before", config, data_dir=folder / "data") as running:
        traffic.asked(running, "intent", train, labels)


def exported(folder: Path, name: str) -> Path:
    """The file of answers to learn from, by the command line."""
    recipe, out = folder / "recipe.toml", folder / f"export-{name}"
    recipe.write_text(RECIPE)
    subprocess.run(
        [sys.executable, "-m", "tailrace", "export", recipe, "--out", out, "--data-dir", folder / "data"], check=True
    )
    (file,) = (out / "trl-messages").glob("*.jsonl")
    return file


def learned(folder: Path, rows: Path, epochs: float) -> dict[str, Any]:
    """Trains, in a process of its own: PyTorch's memory is given back."""
    words = (str(rows), str(folder / "model"), str(epochs), str(folder / "scratch"))
    command = [sys.executable, "-m", "tests.flywheel.learn", *words]
    subprocess.run(command, check=True, env=os.environ | ALONE)
    lesson: dict[str, Any] = json.loads((folder / "model" / "lesson.json").read_text())
    return lesson


def answered(
    folder: Path, judge: Sequence[Item], labels: Sequence[str], share: int
) -> tuple[dict[str, list[Said]], dict[str, list[Said]]]:
    """The test split through the alias, by who answered; and all of it by each of the two."""
    gold = folder / "judge.jsonl"
    gold.write_bytes(gold_file(judge))
    with student(folder) as address:
        config = SHARED.format(gold=gold, student=address, teacher=TEACHER, name=STUDENT, share=share, rest=100 - share)
        with proxy(folder / "after", config, data_dir=folder / "data") as running:
            shared = traffic.asked(running, "intent", judge, labels)
            alone = {name: traffic.asked(running, name, judge, labels) for name in ("student", "teacher")}
    by_provider = {name: [each for each in shared if each.provider == name] for name in ("student", "sim")}
    return by_provider, alone


@contextmanager
def student(folder: Path) -> Iterator[str]:
    """The trained model behind its endpoint; gives the address."""
    command = [sys.executable, "-m", "tests.flywheel.serve", str(folder / "model")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ALONE) as process:
        try:
            assert process.stdout is not None
            ready = re.search(r"http://\S+", process.stdout.readline())
            assert ready is not None, "the model's endpoint did not start"
            yield ready[0]
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def count(file: Path) -> int:
    """Lines of a file."""
    return file.read_bytes().count(b"\n")


def shown(result: dict[str, Any]) -> None:
    """A table."""
    table = Table("on the split that nothing learned from", "answers", "accuracy", "unreadable")
    named = {
        "teacher": result["teacher"],
        "model": result["student"],
        "model, texts that are new to it": result["student_new_texts"],
        "by the alias: teacher": result["alias"]["sim"],
        "by the alias: model": result["alias"]["student"],
    }
    for name, found in named.items():
        table.add_row(name, f"{found['answers']:,}", f"{found['accuracy']:.3f}", f"{found['unreadable']:.3f}")
    label, right = result["majority"]
    table.add_row(f"always {label}", "", f"{right:.3f}", "")
    console = Console(width=120)
    console.print(table)
    lesson = result["learned_from"]
    console.print(
        f"{lesson['rows']:,} rows, {lesson['weights']:,} weights, {lesson['steps']:,} steps, "
        f"{lesson['wall_s']:.0f} s ({lesson['cpu_s']:.0f} s CPU); all in all {result['wall_s']:.0f} s. "
        f"Model and teacher agree in {result['agreement']:.3f}. An export after the model has answered: "
        f"{result['rows_of_a_second_export']:,} rows, all the teacher's."
    )


def verdict(result: dict[str, Any]) -> int:
    """0 where the model learned."""
    return 0 if result["student"]["accuracy"] >= result["majority"][1] + CLEARLY else 1


if __name__ == "__main__":
    sys.exit(main())
