"""Which version of a classifier made a label: a hash of all that changes what its labels mean. Pure.

Labels of one version may be compared, cached and learned from together; another prompt, model, label or rule
makes another version. When it runs, whether it is live and what is done about its labels changes no meaning.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from tailrace.settings_classifiers import Classifier

_MEANING: Final = frozenset(("task", "question", "glossary", "context", "rules", "llm"))
_NO_MEANING_LLM: Final = frozenset(("instructions", "examples", "documents"))
"""Paths: what stands in the files counts, not where they are."""


def version_of(classifier: Classifier, files: Mapping[str, bytes] | None = None, *, prompt: str = "") -> str:
    """Twelve hex digits. `files` are the contents of what the classifier names, by any name; `prompt` is our own part
    of the prompt (`Task.prompt` and the frame around it), so that a release that words it anew is a new version."""
    values = classifier.model_dump(mode="json", include=set(_MEANING))
    values["labels"] = list(classifier.definitions().items())
    values["role"] = classifier.applies_to.role
    if values["llm"] is not None:
        examples = values["llm"]["examples"]
        values["llm"] = {name: value for name, value in values["llm"].items() if name not in _NO_MEANING_LLM}
        values["llm"]["examples"] = examples and {name: examples[name] for name in ("select", "count")}
    digest = blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=6)
    for name, content in sorted({**(files or {}), "": prompt.encode()}.items()):
        digest.update(blake2b(content, digest_size=16, key=blake2b(name.encode(), digest_size=16).digest()).digest())
    return digest.hexdigest()
