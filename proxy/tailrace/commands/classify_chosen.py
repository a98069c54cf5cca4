"""Which classifier a command means, and what of its cascade: from a name and words to a classifier with its files."""

from typing import Annotated, Final, get_args

import typer

from tailrace.classify.ready import Ready, load
from tailrace.errors import UserError
from tailrace.settings import Settings
from tailrace.settings_classifiers import Source

Name = Annotated[str, typer.Argument(metavar="NAME", help="The classifier, as the settings name it.")]

_SOURCES: Final[tuple[Source, ...]] = get_args(Source)


def known(settings: Settings, name: str) -> None:
    """Raises UserError: the settings have no such classifier."""
    if name not in settings.classifiers:
        have = ", ".join(settings.classifiers) or "none"
        raise UserError(f"no classifier {name[:60]!r} in the settings; there are: {have}")


def chosen(settings: Settings, name: str, sources: str | None = None) -> Ready:
    """The classifier `name`, with only those `sources` (`rules,llm`) asked; its version stays what it is.

    Raises:
        UserError: there is no such classifier, or a source that it does not have.
        SettingsError: one of its files cannot be read.
    """
    known(settings, name)
    classifier = settings.classifiers[name]
    ready = load(name, classifier)
    if sources is None:
        return ready
    words = [word.strip() for word in sources.split(",") if word.strip()]
    wanted = tuple(_source(word) for word in words)
    for source in wanted:
        if classifier.mode_of(source) == "off" or (source == "llm" and ready.brief is None):
            raise UserError(f"--sources: {source} is off in the settings of {name}, or not set up there")
    if not wanted:
        raise UserError(f"--sources: name one or more of {', '.join(_SOURCES)}")
    return Ready(
        name, classifier.model_copy(update={"cascade": wanted}), ready.version, ready.rules, ready.brief, ready.shots,
        ready.passages,
    )  # fmt: skip


def asks_model(ready: Ready) -> bool:
    """Whether the model is among those that are asked, be it in shadow."""
    return ready.brief is not None and ready.settings.mode_of("llm") != "off"


def _source(word: str) -> Source:
    for source in _SOURCES:
        if word == source:
            return source
    raise UserError(f"--sources: {word[:60]!r} is none of {', '.join(_SOURCES)}")
