"""Templates from the openings of a log. Pure: the same openings give the same templates, with the same ids and names.

sample ▸ by shape ▸ divide ▸ equal slots made one ▸ names ▸ what many requests fit, and what saves something
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tailrace.records import Json
from tailrace.templates.match import MAX_TEMPLATES, Templates
from tailrace.templates.prune import prune
from tailrace.templates.template import ASSISTANT, Frame, Pattern, Slot, Template
from tailrace_exporters.templates.divide import Leaf, leaves
from tailrace_exporters.templates.naming import slot_names, template_name
from tailrace_exporters.templates.opening import Opening, Shape
from tailrace_exporters.templates.structure import LEAST_TEXTS
from tailrace_exporters.templates.words import pieces, weight

_LEAST_WEIGHT: Final = 4
"""Static words that make a template; fewer are a habit of speech."""

_LEAST_EQUAL: Final = 3
"""Different words that two slots must have in common, and no others, to be one."""


def recover(openings: Sequence[Opening], known: Iterable[Template] = ()) -> list[Template]:
    """Templates that `openings` were made from, none of them `known`: those first that save the most."""
    shapes: dict[Shape, list[Opening]] = {}
    for opening in openings:
        shapes.setdefault(opening.shape, []).append(opening)
    found: dict[str, Template] = {template.id: template for template in known}
    before = set(found)
    for some in shapes.values():
        for leaf in leaves(some):
            template = _template(leaf)
            if template is not None:
                found.setdefault(template.id, template)
    return _named(_worthwhile([each for id_, each in found.items() if id_ not in before], openings), known)


def _template(leaf: Leaf) -> Template | None:
    """The template of a leaf, its slots numbered; None where it says too little."""
    merged = _merged(leaf)
    frames = tuple(
        Frame(role, tuple(_renamed(text, merged) for text in texts))
        for role, texts in zip(leaf.openings[0].roles, leaf.patterns, strict=True)
    )
    said = [each for frame in frames for text in frame.texts for each in text if isinstance(each, str)]
    if sum(weight(pieces(each)) for each in said) < _LEAST_WEIGHT:
        return None
    return Template("", _kept(frames), "")


def _merged(leaf: Leaf) -> dict[str, str]:
    """For each slot the first one that always holds the same words: they are one."""
    first: dict[tuple[str, ...], str] = {}
    merged = {}
    for name in leaf.held[0]:
        words = tuple(held[name] for held in leaf.held)
        merged[name] = first.setdefault(words, name) if len(set(words)) >= _LEAST_EQUAL else name
    return merged


def _kept(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Examples stay: an answer, and what it answers. So does a last message of which nothing would be left."""
    made = []
    tagged = False
    for n, frame in enumerate(frames):
        is_last = n == len(frames) - 1
        keep = frame.role == ASSISTANT or (not is_last and frames[n + 1].role == ASSISTANT and frame.role == "user")
        keep = keep or (is_last and tagged and bool(frame.texts) and not any(frame.slots))
        tagged = tagged or bool(frame.texts and not keep)
        made.append(Frame(frame.role, frame.texts, keep))
    return tuple(made)


def _worthwhile(templates: Sequence[Template], openings: Sequence[Opening]) -> list[Template]:
    """Those that enough openings fit better than any other, and by which these become shorter."""
    known = Templates(templates)
    fits: dict[str, int] = {}
    saved: dict[str, int] = {}
    for opening in openings:
        pruned = prune(_messages(opening), known, len)
        if pruned is not None:
            fits[pruned.template_id] = fits.get(pruned.template_id, 0) + 1
            saved[pruned.template_id] = saved.get(pruned.template_id, 0) + pruned.saved_tokens
    worth = [each for each in templates if fits.get(each.id, 0) >= LEAST_TEXTS and saved[each.id] > 0]
    return sorted(worth, key=lambda each: (-saved[each.id], each.id))


def _messages(opening: Opening) -> list[Json]:
    return [
        {"role": role, "content": [{"type": "text", "text": text} for text in texts]}
        for role, texts in zip(opening.roles, opening.texts, strict=True)
    ]


def _named(templates: Sequence[Template], known: Iterable[Template]) -> list[Template]:
    taken = {template.name for template in known}
    made = []
    for template in templates[: MAX_TEMPLATES - len(taken)]:
        names = slot_names(template.frames)
        frames = tuple(
            Frame(frame.role, tuple(_renamed(text, names) for text in frame.texts), frame.keep)
            for frame in template.frames
        )
        name = template_name(frames, taken)
        taken.add(name)
        made.append(Template(name, frames, name))
    return made


def _renamed(text: Pattern, names: dict[str, str]) -> Pattern:
    return tuple(Slot(names[each.name]) if isinstance(each, Slot) else each for each in text)
