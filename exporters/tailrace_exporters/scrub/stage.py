"""`[scrub]`: no row goes on with a secret in it, nor with a personal value, where the recipe says so.

A row's texts are searched all at once; where one holds a value, every place in the row at which that value stands is
replaced, also where no pattern would have told it there. What was found is remembered, as hashes, and searched for in
the files once they are written (`canary.py`).
"""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson

from tailrace.errors import RecipeError, WorkFailed
from tailrace.records import Json
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.dedupe import content_of
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import Personal, Scope, Secrets
from tailrace_exporters.recipe_tables import Scrub as Rule
from tailrace_exporters.rows import Dropped, Row, Stage, id_text
from tailrace_exporters.scrub.canary import WINDOW, Canary
from tailrace_exporters.scrub.find import find
from tailrace_exporters.scrub.kinds import PERSONAL, Found, Value
from tailrace_exporters.scrub.leaves import Leaf, Leaves, rebuilt, restored
from tailrace_exporters.scrub.pseudonyms import LEAST_KEY_BYTES, Pseudonyms
from tailrace_exporters.scrub.texts import (
    Hit,
    Known,
    Substitute,
    TangledError,
    apart,
    hits_in,
    known_in,
    replaced,
    scrubbed,
)
from tailrace_exporters.surroundings import Surroundings

TANGLED: Final = "tangled_escapes"
SECRET: Final = "secret"  # noqa: S105 - a word of the ledger
"""Followed by its kind: `secret:openai_key`."""

_DATASET: Final = b"dataset"
_TOOLS: Final = "/tools"
_KEPT_TOOLS: Final = 4096
_Values = dict[bytes, Value]


def scrub(recipe: Recipe, surroundings: Surroundings) -> "Scrub | None":
    """The stage that `[scrub]` asks for."""
    rule = recipe.scrub
    if rule is None:
        return None
    if rule.key is None:
        return Scrub(rule, None)
    key = surroundings.secret("scrub.key", rule.key).encode()
    if len(key) < LEAST_KEY_BYTES:
        raise RecipeError(
            f"scrub.key: {rule.key} holds {len(key)} characters; give at least {LEAST_KEY_BYTES}, "
            "such as `openssl rand -hex 32` prints"
        )
    return Scrub(rule, Pseudonyms(key))


class Scrub:
    """Replaces, drops or refuses."""

    def __init__(self, rule: Rule, pseudonyms: Pseudonyms | None) -> None:
        self._rule = rule
        self._pseudonyms = pseudonyms
        wanted = set(Value) - (PERSONAL if rule.personal is Personal.KEEP else set())
        self._kinds = frozenset(wanted if rule.addresses else wanted - {Value.ADDRESS})
        self.canary = Canary()
        """What must not be in any file."""
        self._values: Counter[Value] = Counter()
        self._rows = 0
        self._clean: set[bytes | None] = set()

    def asks(self, _row: Row) -> Sequence[Ask]:
        """No model is needed."""
        return ()

    def take(self, row: Row, _answers: Answers) -> Iterator[Row | Dropped]:
        """The row without its values, or why it does not go on.

        Raises:
            WorkFailed: it holds a secret, and the recipe refuses those.
        """
        parts = _parts(row)
        tools = _name_of(row.tools)
        try:
            if tools in self._clean and not self._found(Leaves({at: parts[at] for at in parts if at != _TOOLS})):
                yield row
                return
            leaves = Leaves(parts)
            hits = self._found(leaves)
            if tools is not None and not any(leaf.pointer.startswith(_TOOLS) for leaf, _ in hits):
                self._remember(tools)
            if not hits:
                yield row
                return
            known: _Values = {hit.value: hit.found.kind for _, hit in hits}
            for value, kind in known.items():
                self.canary.add(value, kind)
            self._values.update(hit.found.kind for _, hit in hits)
            dropped = self._refused(row, hits)
            yield dropped or self._without(row, parts, leaves, hits, known)
        except TangledError:
            yield Dropped(Stage.SCRUB, TANGLED, row.learned)

    def facts(self) -> Mapping[str, Json]:
        """What was found, and which key made the pseudonyms."""
        key = None if self._pseudonyms is None else self._pseudonyms.fingerprint
        values = {kind.value: self._values[kind] for kind in Value if self._values[kind]}
        return {"scrub": {"key_fingerprint": key, "rows_changed": self._rows, "values": values}}

    def _found(self, leaves: Leaves) -> list[tuple[Leaf, Hit]]:
        return list(self._hits(leaves))

    def _remember(self, tools: bytes) -> None:
        """These tools hold nothing. An application sends the same with every call, and they are long."""
        if len(self._clean) >= _KEPT_TOOLS:
            self._clean.clear()
        self._clean.add(tools)

    def _hits(self, leaves: Leaves) -> Iterator[tuple[Leaf, Hit]]:
        """The values of a row. `Hit.found` says where in the leaf's own line."""
        escaped = b"\\" in leaves.text
        lines = [leaf.line for leaf in leaves.leaves]
        for found in find(leaves.text, self._kinds):
            leaf = leaves.leaves[bisect_right(lines, found.start) - 1]
            if found.start >= leaf.start and not (escaped and b"\\" in leaves.line(leaf)):
                at = Found(found.start - leaf.line, found.end - leaf.line, found.kind)
                yield leaf, Hit(at, leaves.text[found.start : found.end])
        for leaf in leaves.leaves if escaped else ():
            line = leaves.line(leaf)
            if b"\\" in line:
                for hit in hits_in(line, self._kinds):
                    if hit.found.start >= leaf.start - leaf.line:
                        yield leaf, hit

    def _refused(self, row: Row, hits: Sequence[tuple[Leaf, Hit]]) -> Dropped | None:
        """What becomes of a row that holds a secret, unless that is masked."""
        if self._rule.secrets is Secrets.MASK:
            return None
        for leaf, hit in hits:
            kind = hit.found.kind
            if kind in PERSONAL:
                continue
            pointer = scrubbed(leaf.pointer.encode(errors="replace"), _mask, self._kinds).decode()
            if self._rule.secrets is Secrets.REFUSE:
                raise WorkFailed(
                    f"completion {id_text(row.head.id)}: {pointer} holds a secret ({kind.value}); leave the completion "
                    'out with [select] where, or set [scrub] secrets = "drop" or "mask"'
                )
            return Dropped(Stage.SCRUB, f"{SECRET}:{kind.value}", row.learned, pointer)
        return None

    def _without(
        self, row: Row, parts: Mapping[str, Json], leaves: Leaves, hits: Sequence[tuple[Leaf, Hit]], known: _Values
    ) -> Row:
        self._rows += 1
        plain = [(value, kind) for value, kind in known.items() if len(value) >= WINDOW]
        by_leaf: dict[int, list[Hit]] = {}
        for leaf, hit in hits:
            by_leaf.setdefault(leaf.line, []).append(hit)
        substitute = self._substitute(row)
        lines = {
            leaf.line: made
            for leaf in leaves.leaves
            if (made := self._line(leaves.line(leaf), leaf, by_leaf.get(leaf.line, []), plain, substitute)) is not None
        }
        if find(b"\n".join(lines.values()), self._kinds):  # what was put in gave rise to something else
            for leaf in leaves.leaves:
                if leaf.line in lines:
                    lines[leaf.line] = self._again(lines[leaf.line], leaf, plain, substitute)
        texts = [self._text(lines.get(leaf.line), leaf) for leaf in leaves.leaves]
        rest = iter(texts)
        made_parts = {pointer: rebuilt(value, rest) for pointer, value in parts.items()}
        assert next(rest, "") == ""
        return _with(row, made_parts, self._alike(row, known))

    def _line(self, line: bytes, leaf: Leaf, hits: list[Hit], known: Known, substitute: Substitute) -> bytes | None:
        """A leaf's line without its values; None where it has none."""
        if b"\\" in line:
            made = self._again(line, leaf, known, substitute)
            return None if made == line else made
        more = [hit for hit in known_in(line, known) if hit.found.start >= leaf.start - leaf.line]
        hits = apart([*hits, *more]) if more else hits
        return replaced(line, hits, substitute) if hits else None

    def _again(self, line: bytes, leaf: Leaf, known: Known, substitute: Substitute) -> bytes:
        return scrubbed(line, substitute, self._kinds, known=known, skip=leaf.start - leaf.line)

    def _text(self, line: bytes | None, leaf: Leaf) -> str | None:
        """The text of a leaf whose line was changed."""
        if line is None:
            return None
        return restored(line[leaf.start - leaf.line :].decode(errors="surrogatepass"), leaf)

    def _substitute(self, row: Row) -> Substitute:
        pseudonyms = self._pseudonyms
        if pseudonyms is None or self._rule.personal is not Personal.PSEUDONYM:
            return _mask
        scope = row.chain if self._rule.scope is Scope.CHAIN else _DATASET

        def substitute(kind: Value, value: str) -> str:
            return pseudonyms.of(value, kind, scope) if kind in PERSONAL else _mask(kind, value)

        return substitute

    def _alike(self, row: Row, known: _Values) -> bytes | None:
        """What duplicates are known by, where pseudonyms make equal rows of two chains differ."""
        apart = self._rule.personal is Personal.PSEUDONYM and self._rule.scope is Scope.CHAIN
        if not apart or PERSONAL.isdisjoint(known.values()):
            return None
        try:
            return hashlib.sha256(content_of(row)).digest()
        except TypeError:
            return None  # no JSON: it is counted as that further on


def _name_of(tools: Json) -> bytes | None:
    if not tools:
        return None
    try:
        return hashlib.blake2b(orjson.dumps(tools), digest_size=16).digest()
    except TypeError:  # orjson's own error is one
        return None


def _mask(kind: Value, _value: str) -> str:
    return f"[masked:{kind.value}]"


def _parts(row: Row) -> dict[str, Json]:
    """All of a row that words can stand in, by where it stands."""
    parts: dict[str, Json] = {"/messages": row.messages}
    if row.tools is not None:
        parts["/tools"] = row.tools
    if row.response_format is not None:
        parts["/response_format"] = row.response_format
    if row.judgement is not None and row.judgement.rejected is not None:
        parts["/judgement/rejected"] = row.judgement.rejected
    if row.labels:
        parts["/labels"] = [each.label for each in row.labels]
    if row.balance is not None:
        parts["/balance"] = row.balance
    if row.tags is not None:
        parts["/tags"] = row.tags
    return parts


def _with(row: Row, parts: Mapping[str, Json], alike: bytes | None) -> Row:
    judgement = row.judgement
    if judgement is not None and judgement.rejected is not None:
        judgement = replace(judgement, rejected=parts["/judgement/rejected"])
    labels = parts.get("/labels", ())
    return replace(
        row,
        messages=parts["/messages"],
        tools=parts.get("/tools"),
        response_format=parts.get("/response_format"),
        judgement=judgement,
        labels=tuple(replace(each, label=label) for each, label in zip(row.labels, labels, strict=True)),
        balance=parts.get("/balance"),
        tags=parts.get("/tags"),
        alike=alike,
    )
