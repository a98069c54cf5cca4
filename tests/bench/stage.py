"""The classifier stage before a call: what it adds to the relay's CPU, by who answers; beside calls without it."""

import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import orjson

from tailrace.classify.ready import Ready, load
from tailrace.classify.student import matrix
from tailrace.classify.student.drift import Drift
from tailrace.classify.student.features import Features
from tailrace.classify.student.fit import Item, train
from tailrace.classify.student.guarantee import Release
from tailrace.classify.student.place import current_file
from tailrace.classify.student.states import Standing
from tailrace.classify.turn import Subject
from tailrace.labeller.standing import Kept, standing_file
from tailrace.records import StudentState
from tailrace.settings_classifiers import Classifier
from tests.bench import load as loads
from tests.bench.relay import CONFIG, port_of, saturated
from tests.bench.result import Result
from tests.running import Proxy, proxy, simulator, until

LABELS: Final = 14  # as many as multidogo_airline has
CLASSIFIER: Final = f"""
[classifiers.wish]
when = "before"
labels = {{{", ".join(f'label{n} = "of kind {n}"' for n in range(LABELS))}}}
context = {{turns = 2, previous_label = true}}
llm = {{model = "sim/label"}}
rules = [
  {{label = "label0", any = ["(?i)^(yes|yep|sure|ok(ay)?)[.! ]*$"]}},
  {{label = "label1", exact = ["no", "no thanks"]}},
  {{label = "label2", all = ["(?i)\\\\b(what|when|how)\\\\b", "\\\\?"], not = ["(?i)\\\\bbut\\\\b"]}},
]
"""
BY_STUDENT: Final = "please put me on the flight that leaves on thursday in the early morning instead"
BY_RULE: Final = "Yes!"


def request(text: str) -> bytes:
    """A conversation of some 2 KB, the user's new turn at its end."""
    told = "We have found a seat for you at the window and can hold it until tonight. "
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": told * 4} for n in range(6)]
    return loads.request_of({"model": "echo", "messages": [*turns, {"role": "user", "content": text}]})


def put_student(data_dir: Path) -> None:
    """A student of the classifier that is live from the start, and of a threshold that any turn reaches."""
    ready: Ready = load("wish", Classifier.model_validate(tomllib.loads(CLASSIFIER)["classifiers"]["wish"]))
    items = [Item(Subject(f"word{n % LABELS} number {n}"), (f"label{n % LABELS}",), b"%d" % n) for n in range(420)]
    rows = train(items, tuple(ready.settings.definitions()), Features())
    release = Release(0.0, 1.0, 0.99, 0.96, 300, 0.025)
    target = ready.settings.target_agreement
    standing = Standing(
        StudentState.LIVE, "of a benchmark", ready.version, target, epoch=1, looks=1, fitted=1, released=1,
        release=release, drift=Drift(target),
    )  # fmt: skip
    path = current_file(data_dir, ready.name)
    path.parent.mkdir(parents=True)
    matrix.write(path, matrix.Header(ready.version, 1, rows.labels, Features(), threshold=0.0), rows.weights, rows.bias)
    standing_file(data_dir, ready).put(Kept(standing))


@contextmanager
def staged(more: str) -> Iterator[Proxy]:
    """The proxy before a provider, both on loopback."""
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name, simulator(Path(name) / "provider") as url:
        if more:
            put_student(Path(name) / "proxy" / "data")
        with proxy(Path(name) / "proxy", CONFIG.format(durability="process", url=url) + more) as running:
            yield running


def said(running: Proxy, text: str) -> str:
    """What the stage says of a text."""
    body = orjson.loads(request(text).partition(b"\r\n\r\n")[2])
    return str(running.post(body).headers.get("x-tailrace-label"))


def expect(running: Proxy, text: str, source: str) -> None:
    """Raises AssertionError unless `source` answers `text`: the figures would be of something else."""
    fresh = count()  # what the model labels before the student is taken up comes from the cache from then on
    until(lambda: "source=student" in said(running, f"{BY_STUDENT} {next(fresh)}") or None, "the student")
    assert source in said(running, text)


def stage(seconds: float) -> list[Result]:
    """CPU per call, 2 KB bodies, 32 clients: a classifier whose rule answers, or whose student does; or none."""
    what = {"a rule": (BY_RULE, "source=rule"), "the student": (BY_STUDENT, "source=student")}
    without_us = {}
    with staged("") as running:
        for name, (text, _) in what.items():
            counted, cpu = saturated(port_of(running.url), request(text), running.children("relay"), 32, seconds)
            without_us[name] = cpu / counted.answers * 1e6
    results = []
    with staged(CLASSIFIER) as running:
        for name, (text, source) in what.items():
            expect(running, text, source)
            counted, cpu = saturated(port_of(running.url), request(text), running.children("relay"), 32, seconds)
            what_is = f"relay CPU per call, {name} labels it"
            results.append(Result(what_is, cpu / counted.answers * 1e6, "µs", without_us[name], "no classifier"))
    return results
