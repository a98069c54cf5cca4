"""A classifier with its files read: what the relay, the labeller and the commands label with.

`load` reads the disk and is called once, at a start or a reload; all else is pure. A file that is wrong is told with
the classifier's name and the file's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tailrace.classify.cache import key_of
from tailrace.classify.documents import Passage, Passages, read_folder
from tailrace.classify.embeddings import EmbeddingCache
from tailrace.classify.examples import Example, Shots, parse_gold
from tailrace.classify.rules import RuleSet
from tailrace.classify.tasks import TASKS
from tailrace.classify.tasks.brief import brief_of
from tailrace.classify.tasks.build import frame_and_prompt, request_of
from tailrace.classify.tasks.task import Brief
from tailrace.classify.turn import Subject
from tailrace.classify.version import version_of
from tailrace.errors import SettingsError, UserError
from tailrace.settings_classifiers import Classifier

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ready:
    """A classifier that can label."""

    name: str
    settings: Classifier
    version: str
    rules: RuleSet
    brief: Brief | None = None  # None: no model is asked
    shots: Shots | None = None
    passages: Passages | None = None

    def key(self, subject: Subject) -> bytes:
        """By what a label of this version is found again."""
        return key_of(self.version, subject, folded=TASKS[self.settings.task].folds)

    def body(
        self,
        subject: Subject,
        *,
        examples: Sequence[Example] | None = None,
        passages: Sequence[Passage] | None = None,
    ) -> dict[str, Any]:
        """The chat request that asks for the label of `subject`. `examples` and `passages`: the nearest ones in a
        better order than that of their words."""
        assert self.brief is not None, "no model is asked"
        shots = self.shots.choose(subject, examples) if self.shots is not None else ()
        if passages is None:
            passages = self.passages.near(subject) if self.passages is not None else ()
        most = self.settings.llm.passages if self.settings.llm is not None else 0
        return request_of(
            self.brief,
            subject,
            shots=[example.shot for example in shots],
            passages=[passage.shown() for passage in passages[:most]],
        )

    async def body_by_meaning(self, subject: Subject, cache: EmbeddingCache) -> dict[str, Any]:
        """As `body`, with what is near in the order of meaning."""
        examples = None if self.shots is None else self.shots.near(subject.text)
        passages = None if self.passages is None else self.passages.near(subject)
        if examples:
            examples = await cache.in_order(subject.text, examples, lambda example: example.subject.text)
        if passages:
            passages = await cache.in_order(subject.text, passages, Passage.shown)
        return self.body(subject, examples=examples, passages=passages)


def load(name: str, classifier: Classifier) -> Ready:
    """The classifier `name` with its files.

    Raises:
        SettingsError: a file cannot be read, or is wrong.
    """
    rules = RuleSet(classifier.rules)
    llm = classifier.llm
    if llm is None:
        return Ready(name, classifier, version_of(classifier), rules)
    files: dict[str, bytes] = {}

    def read(key: str, path: Path) -> bytes:
        files[key] = _told(name, key, path, path.read_bytes)
        return files[key]

    instructions = b"" if llm.instructions is None else read("instructions", llm.instructions)
    brief = brief_of(classifier, instructions.decode("utf-8-sig", "replace"))
    assert brief is not None, "there is an llm"
    shots = passages = None
    if (examples := llm.examples) is not None:
        path = examples.from_
        data = read("examples.from", path)
        gold = _told(name, "examples.from", path, lambda: parse_gold(data, path.suffix, brief))
        shots = Shots(gold, examples.select, examples.count)
    if (folder := llm.documents) is not None:
        found = _told(name, "documents", folder, lambda: read_folder(folder))
        passages = Passages(found)
        files["documents"] = "\0".join(passage.shown() for passage in found).encode("utf-8", "replace")
    return Ready(name, classifier, _version(classifier, files, brief), rules, brief, shots, passages)


def _version(classifier: Classifier, files: Mapping[str, bytes], brief: Brief) -> str:
    return version_of(classifier, files, prompt=frame_and_prompt(brief))


def _told(name: str, key: str, path: Path, read: Callable[[], T]) -> T:
    """What `read` gives; where it fails, the failure with its place."""
    try:
        return read()
    except UserError as exc:
        raise SettingsError(f"classifiers.{name}.llm.{key}: {path}: {exc}") from exc
    except OSError as exc:
        raise SettingsError(f"classifiers.{name}.llm.{key}: {path} cannot be read ({exc.strerror})") from exc


def learns(ready: Ready) -> bool:
    """Whether a student can be: it is wanted, there is a model to learn from, audits would show when it errs, and the
    task gives one label."""
    is_wanted = ready.settings.mode_of("student") != "off" and ready.settings.audit_share > 0
    return is_wanted and ready.brief is not None and ready.brief.task.single
