"""Which settings of classifiers contradict each other, and which of their files cannot be read.

`classifier_problems` is pure; `unreadable` looks at the disk, so that a misspelt path is told at the start and not when
the first turn is to be labelled.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tailrace.settings import SIMULATED, Settings
from tailrace.settings_checks import Path as Place
from tailrace.settings_checks import Problem
from tailrace.settings_classifiers import NONE, Action, Classifier

MAX_LABELS: Final = 300
MAX_LABEL_CHARS: Final = 80

_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_NEED_LABELS: Final = frozenset(("classification", "multilabel", "ner", "extraction"))
_NOT_IN_LABELS: Final = frozenset(',"\\<>`')
_NEEDS: Final = {"route": "target", "reply": "text", "note": "text", "webhook": "url", "tag": "tag"}
_BEFORE: Final = frozenset(("route", "reply", "note"))
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def folded(label: str) -> str:
    """A label as it is recognised where case and separators differ: `Book_Flight` is `book flight`."""
    return " ".join(re.split(r"[\s_\-]+", label.casefold())).strip()


def classifier_problems(settings: Settings) -> Iterator[Problem]:
    """Every problem of the classifiers that only shows when settings are seen together."""
    for index, host in enumerate(settings.webhooks.hosts):
        if not _HOST.fullmatch(host):
            yield Problem(("webhooks", "hosts", index), "is no host; write hooks.example.com or hooks.example.com:8443")
    for name, classifier in settings.classifiers.items():
        here = ("classifiers", name)
        if not _PLAIN_NAME.fullmatch(name):
            yield Problem(here, "a classifier's name is a letter, then letters, digits, `_` and `-`; choose another")
        yield from _labels(here, classifier)
        yield from _sources(settings, here, classifier)
        for index, action in enumerate(classifier.actions):
            yield from _action(settings, (*here, "actions", index), classifier, action)


def _labels(here: Place, classifier: Classifier) -> Iterator[Problem]:
    place = (*here, "labels")
    named = [label for label in classifier.labels if label != NONE]
    if classifier.task in _NEED_LABELS and not named:
        yield Problem((*here, "task"), f'{classifier.task} needs labels; add labels = {{name = "what it means"}}')
    if len(named) > MAX_LABELS:
        yield Problem(place, f"are more than {MAX_LABELS}; split them over several classifiers")
    seen: dict[str, str] = {folded(NONE): NONE}
    for label in named:
        if not _is_label(label):
            text = f'is no label: 1 to {MAX_LABEL_CHARS} printable characters without , " \\ < > ` and space around'
            yield Problem((*place, label), f"{text}; rename it")
        other = seen.setdefault(folded(label), label)
        if other != label:
            yield Problem((*place, label), f'cannot be told from "{other}" when its case differs; rename one of them')
    if classifier.task == "qa" and not classifier.question:
        yield Problem((*here, "task"), 'qa needs a question; add question = "…"')
    if classifier.task != "qa" and classifier.question:
        yield Problem((*here, "question"), f'is only asked with task = "qa"; {classifier.task} leaves it out')


def _is_label(label: str) -> bool:
    return (
        0 < len(label) <= MAX_LABEL_CHARS
        and label.isprintable()
        and label == label.strip()
        and not _NOT_IN_LABELS & set(label)
    )


def _sources(settings: Settings, here: Place, classifier: Classifier) -> Iterator[Problem]:
    if len(set(classifier.cascade)) < len(classifier.cascade):
        yield Problem((*here, "cascade"), "names a source twice; leave one out")
    known = classifier.definitions()
    for index, rule in enumerate(classifier.rules):
        place = (*here, "rules", index)
        if rule.label not in known:
            yield Problem((*place, "label"), f'"{rule.label}" is no label here; choose one of: {", ".join(known)}')
        if not (rule.any or rule.all or rule.exact):
            yield Problem(place, "would always fire; give it any, all or exact")
    if classifier.rules and "rules" not in classifier.cascade:
        yield Problem((*here, "rules"), 'are never asked; add "rules" to cascade')
    if classifier.rules and classifier.task in {"ner", "extraction"}:
        yield Problem((*here, "rules"), f"cannot find what {classifier.task} looks for; leave them out")
    if (
        classifier.llm is not None
        and classifier.llm.model.startswith(f"{SIMULATED}/")
        and not settings.simulator.enabled
    ):
        yield Problem((*here, "llm", "model"), f"`{SIMULATED}` is switched off; set simulator.enabled = true")
    if classifier.llm is None and not classifier.rules:
        yield Problem(here, "has neither rules nor an llm, so nothing would ever be labelled; add one")


def _action(settings: Settings, here: Place, classifier: Classifier, action: Action) -> Iterator[Problem]:
    known = classifier.definitions()
    if action.on not in known:
        yield Problem((*here, "on"), f'"{action.on}" is no label here; choose one of: {", ".join(known)}')
    needed = _NEEDS[action.do]
    if getattr(action, needed) is None:
        yield Problem(here, f'do = "{action.do}" needs {needed}; add it')
    for field in sorted({*_NEEDS.values()} - {needed}):
        if getattr(action, field) is not None:
            yield Problem((*here, field), f'means nothing with do = "{action.do}"; leave it out')
    if action.do in _BEFORE and classifier.when != "before":
        yield Problem((*here, "do"), f'"{action.do}" comes too late after the answer; set when = "before"')
    if action.do == "route" and action.target is not None:
        yield from _target(settings, (*here, "target"), action.target)
    if action.do == "webhook" and action.url is not None:
        yield from _url(settings, (*here, "url"), action.url)


def _target(settings: Settings, here: Place, target: str) -> Iterator[Problem]:
    """As the relay routes: an alias, `provider/model`, or a model of the default provider, which only it knows."""
    provider, slash, _ = target.partition("/")
    if target in settings.models:
        return
    if slash and (provider in settings.providers or (provider == SIMULATED and settings.simulator.enabled)):
        return
    listed = settings.providers.get(settings.default_provider)
    if listed is not None and target in listed.models:
        return
    yield Problem(
        here, f'"{target}" is no alias and no provider/model; add [models.{target}] or write "provider/model"'
    )


def _url(settings: Settings, here: Place, url: str) -> Iterator[Problem]:
    if not is_allowed(url, settings.webhooks.hosts):
        yield Problem(here, "is not http(s) at a host of webhooks.hosts; add its host there, without a user's name")
    secret = settings.webhooks.secret
    if secret is None or not secret.get_secret_value():
        yield Problem(here, 'needs a secret to sign with; set webhooks.secret = "env:WEBHOOK_SECRET"')


def is_allowed(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether `url` may be called: http or https, nobody's credentials in it, its host and port named in `hosts`."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return False
    plain = port is None or port == (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    wanted = {f"{host}:{port or (443 if parts.scheme == 'https' else 80)}", *([host] if plain else [])}
    return not wanted.isdisjoint(allowed.lower() for allowed in hosts)


def unreadable(settings: Settings) -> Iterator[Problem]:
    """Every file and folder that a classifier names and that cannot be read."""
    for name, classifier in settings.classifiers.items():
        here = ("classifiers", name, "llm")
        if (llm := classifier.llm) is None:
            continue
        yield from _file((*here, "instructions"), llm.instructions)
        yield from _file((*here, "examples", "from"), llm.examples.from_ if llm.examples else None)
        if llm.examples and llm.examples.from_.suffix.lower() not in {".jsonl", ".csv"}:
            yield Problem((*here, "examples", "from"), "is neither .jsonl nor .csv; convert it")
        if llm.documents is not None and not (os.path.isdir(llm.documents) and os.access(llm.documents, os.R_OK)):  # noqa: PTH112 never raises
            yield Problem((*here, "documents"), f"{llm.documents} is no folder that can be read; {_ADVICE}")


_ADVICE: Final = "give a path from where Tailrace is started, or an absolute one"


def _file(here: Place, path: Path | None) -> Iterator[Problem]:
    if path is None:
        return
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):  # noqa: PTH113 never raises
        yield Problem(here, f"{path} is no file that can be read; {_ADVICE}")
