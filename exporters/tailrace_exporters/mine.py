"""What a chain says about which of its answers are better: pairs for DPO, judged answers for KTO. Pure.

    corrected     feedback says what the answer should have been      prompt of A: correction over A
    rejected      the user rejects A, and accepts what comes next      prompt of A: B over A
    regenerated   A was asked again, and gone on with B                prompt of A: B over A
    schema        A does not obey the schema it was asked for, B does  prompt of A: B over A
    tool_error    A's tool call failed, B's call of the same tool not  prompt of A: B over A

The preferred answer is always one that was selected and passed the filter, or a person's own words. What is not to be
preferred may be any answer of the same chain, a cut or failed one too. A confidence is that of the labels that say so,
two of them by the least that both can be right together (`a + b - 1`); where no label says so, it is not known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.chains.turns import turn_of
from tailrace.records import Json
from tailrace_exporters.assemble import Conversation
from tailrace_exporters.check import BROKEN, faults
from tailrace_exporters.formats import FORMATS
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_prefer import Prefer, Reason, Sign
from tailrace_exporters.rows import Completion, Dropped, Judgement, Kind, Made, Row, Stage
from tailrace_exporters.schemas import Schemas

SAME_ANSWER: Final = "same_answer"
UNSURE: Final = "confidence"
CONTRADICTED: Final = "contradicted"
NOT_GOOD_ENOUGH: Final = "not_good_enough"
UNREADABLE: Final = "unreadable_correction"

_FAILED: Final = ("error", "exception", "traceback", "failed", "failure")
_TOLD: Final = ("error", "errors", "is_error", "isError")


@dataclass(frozen=True, slots=True)
class Opinion:
    """One piece of feedback on an answer."""

    source: str
    thumb: str | None = None
    score: float | None = None
    correction: Json | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A label of the user's new turn."""

    label: Json
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """A completion of a chain, with all that says what its answer is worth."""

    completion: Completion
    parent: int | None
    found: Conversation | None
    """Its conversation, its answer the last; None where there is none to read."""
    is_admitted: bool
    """It was selected and passed the filter: its answer may be learned."""
    said: Said | None = None
    """What the recipe's classifier says of the user's turn that it answers: of the answer before it."""
    opinions: Sequence[Opinion] = ()

    @property
    def seq(self) -> int:
        return self.completion.seq


@dataclass(frozen=True, slots=True)
class _Pair:
    reason: Reason
    worse: Member
    better: Member
    """Who gave the better answer; the worse one's own where a person did."""
    answer: Json
    confidence: float | None = None
    by: str | None = None
    """The person who gave it."""


def miner(recipe: Recipe) -> "Miner | None":
    """The miner, where a format of the recipe takes what it finds."""
    kinds = frozenset(kind for name in recipe.write.formats for kind in FORMATS[name].kinds)
    return Miner(recipe.prefer, kinds) if kinds & {Kind.PREFERENCE, Kind.JUDGED} else None


class Miner:
    """Mines one chain after the other."""

    def __init__(self, rule: Prefer, kinds: frozenset[Kind]) -> None:
        """`kinds`: which rows the recipe's formats take."""
        self._rule = rule
        self._kinds = kinds
        self._schemas = Schemas()
        self._finders: Mapping[Reason, Callable[[_Chain], Iterator[_Pair]]] = {
            Reason.CORRECTED: _corrected,
            Reason.REJECTED: self._rejected,
            Reason.REGENERATED: _regenerated,
            Reason.SCHEMA: self._by_schema,
            Reason.TOOL_ERROR: _tool_errors,
        }

    def rows(self, members: Sequence[Member]) -> Iterator[Row | Dropped]:
        """What is mined from the completions of one chain, given in log order."""
        chain = _Chain(members)
        if Kind.PREFERENCE in self._kinds:
            yield from self._pairs(chain)
        if Kind.JUDGED in self._kinds:
            for member in chain.readable:
                yield from self._judged(chain, member)

    def _pairs(self, chain: "_Chain") -> Iterator[Row | Dropped]:
        seen: set[tuple[int, int]] = set()
        for reason in self._rule.reasons:
            for pair in self._finders[reason](chain):
                key = (pair.worse.seq, pair.better.seq)
                if key not in seen:
                    seen.add(key)
                    yield self._preference(pair)

    def _preference(self, pair: _Pair) -> Row | Dropped:
        assert pair.worse.found is not None
        *prompt, rejected = pair.worse.found.messages
        of = (pair.better.completion,)
        answer = pair.answer if pair.by is None else _as_answer(pair.answer)
        if answer is None:
            return Dropped(Stage.MINE, UNREADABLE, of)
        if turn_of(answer) == turn_of(rejected):
            return Dropped(Stage.MINE, SAME_ANSWER, of)
        if self._is_unsure(pair.confidence):
            return Dropped(Stage.MINE, UNSURE, of)
        made = () if pair.by is None else (Made(Stage.MINE, pair.by),)
        judgement = Judgement(
            pair.reason.value, pair.confidence, rejected=rejected, rejected_by=(pair.worse.completion,)
        )
        return _row(pair.better, pair.worse.found, [*prompt, answer], Kind.PREFERENCE, judgement, made)

    def _rejected(self, chain: "_Chain") -> Iterator[_Pair]:
        for worse, better in chain.continued():
            no, yes = self._opinion(worse, better.said), self._opinion(better, chain.next_said(better))
            against = next((each for each in no if not each.wanted), None)
            favour = next((each for each in yes if each.wanted), None)
            if better.is_admitted and against and favour and all(each.wanted for each in yes):
                assert better.found is not None
                confidence = _both(against.confidence, favour.confidence)
                yield _Pair(Reason.REJECTED, worse, better, better.found.messages[-1], confidence)

    def _by_schema(self, chain: "_Chain") -> Iterator[_Pair]:
        for worse, better in (*chain.retried(), *chain.continued()):
            assert worse.found is not None
            assert better.found is not None
            if not better.is_admitted or _asked_for(worse.found) != _asked_for(better.found):
                continue
            if self._obeys(worse) is False and self._obeys(better):
                yield _Pair(Reason.SCHEMA, worse, better, better.found.messages[-1])

    def _obeys(self, member: Member) -> bool | None:
        """Whether an answer is as it was asked for; None where nothing was asked for, or that cannot be told."""
        assert member.found is not None
        answer = member.found.messages[-1]
        if not answer.get("tool_calls") and not member.found.request.get("response_format"):
            return None
        row = _row(member, member.found, member.found.messages, Kind.CONVERSATION, None)
        try:
            fault = next(faults(self._schemas, row), None)
        except TypeError:  # nothing that JSON can carry
            return None
        if fault is None:
            return True
        return None if fault[0].startswith(BROKEN) else False

    def _judged(self, chain: "_Chain", member: Member) -> Iterator[Row | Dropped]:
        told = self._opinion(member, chain.next_said(member))
        if not told:
            return
        first, of = told[0], (member.completion,)
        assert member.found is not None
        if any(each.reason == first.reason and each.wanted != first.wanted for each in told):
            yield Dropped(Stage.MINE, CONTRADICTED, of)
        elif self._is_unsure(first.confidence):
            yield Dropped(Stage.MINE, UNSURE, of)
        elif first.wanted and not (member.is_admitted and self._obeys(member) is not False):
            yield Dropped(Stage.MINE, NOT_GOOD_ENOUGH, of)
        else:
            yield _row(member, member.found, member.found.messages, Kind.JUDGED, first)

    def _opinion(self, member: Member, said: Said | None) -> list[Judgement]:
        """What is known for and against an answer, by the recipe's signs in their order.

        `said`: of the user's answer to it.
        """
        rule = self._rule
        found: list[Judgement] = []
        for sign in rule.signs:
            if sign is Sign.LABEL:
                label = None if said is None else said.label
                if said is not None and isinstance(label, str) and label in (*rule.accept, *rule.reject):
                    found.append(Judgement(sign.value, said.confidence, wanted=label in rule.accept))
                continue
            for opinion in member.opinions:
                wanted = _thumb(opinion) if sign is Sign.THUMB else _score(opinion, rule)
                if wanted is not None:
                    found.append(Judgement(sign.value, None, wanted=wanted))
        return found

    def _is_unsure(self, confidence: float | None) -> bool:
        return confidence is not None and confidence < self._rule.min_confidence


class _Chain:
    """One chain's completions, and who follows whom."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._by_seq = {member.seq: member for member in members}
        self._below: dict[int | None, list[Member]] = {}
        for member in members:
            self._below.setdefault(member.parent, []).append(member)
        self.readable = [member for member in members if member.found is not None]

    def below(self, member: Member) -> list[Member]:
        """Those that continue a completion, the first one first."""
        return self._below.get(member.seq, [])

    def next_said(self, member: Member) -> Said | None:
        """What is said of the user's answer to an answer."""
        after = self.below(member)
        return after[0].said if after else None

    def continued(self) -> Iterator[tuple[Member, Member]]:
        """Each readable completion with each that continues it."""
        for member in self.readable:
            yield from ((member, other) for other in self.below(member) if other.found is not None)

    def retried(self) -> Iterator[tuple[Member, Member]]:
        """Each readable completion with each later one that was asked exactly the same."""
        for siblings in self._below.values():
            readable = [member for member in siblings if member.found is not None]
            for n, first in enumerate(readable):
                for other in readable[n + 1 :]:
                    if _prompt(first) == _prompt(other):
                        yield first, other


def _corrected(chain: _Chain) -> Iterator[_Pair]:
    for member in chain.readable:
        told = [opinion for opinion in member.opinions if opinion.correction is not None]
        if told:
            yield _Pair(Reason.CORRECTED, member, member, told[-1].correction, by=told[-1].source)


def _regenerated(chain: _Chain) -> Iterator[_Pair]:
    for worse, better in chain.retried():
        if better.is_admitted and chain.below(better) and not chain.below(worse):
            assert better.found is not None
            yield _Pair(Reason.REGENERATED, worse, better, better.found.messages[-1])


def _tool_errors(chain: _Chain) -> Iterator[_Pair]:
    for worse, better in chain.continued():
        failed = {name for name, is_error in _outcomes(worse, better) if is_error}
        if not better.is_admitted or not failed:
            continue
        for after in chain.below(better):
            outcomes = _outcomes(better, after)
            if {name for name, _ in outcomes} & failed and not any(is_error for _, is_error in outcomes):
                assert better.found is not None
                yield _Pair(Reason.TOOL_ERROR, worse, better, better.found.messages[-1])
                break


def _outcomes(member: Member, after: Member) -> list[tuple[str, bool]]:
    """The functions that an answer calls and that the next request has results of, and whether these are errors."""
    if member.found is None or after.found is None:
        return []
    names: dict[Json, str] = {}
    for call in member.found.messages[-1].get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            names[call.get("id")] = function["name"]
    results = after.found.messages[len(member.found.messages) :]
    return [
        (names[message["tool_call_id"]], _is_error(message.get("content")))
        for message in results
        if message.get("role") == "tool" and message.get("tool_call_id") in names
    ]


def _is_error(content: Json) -> bool:
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        return False
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.lstrip().casefold().startswith(_FAILED)
    if not isinstance(value, dict):
        return False
    return any(bool(value.get(name)) for name in _TOLD) or value.get("success") is False


def _row(
    head: Member,
    asked: Conversation,
    messages: Sequence[Json],
    kind: Kind,
    judgement: Judgement | None,
    made: tuple[Made, ...] = (),
) -> Row:
    request = asked.request
    return Row(
        head=head.completion,
        messages=messages,
        tools=request.get("tools"),
        response_format=request.get("response_format"),
        parallel_tool_calls=request.get("parallel_tool_calls"),
        train=(False,) * (len(messages) - 1) + (True,),
        learned=(head.completion,),
        kind=kind,
        judgement=judgement,
        made=made,
    )


def _prompt(member: Member) -> list[Json]:
    assert member.found is not None
    return member.found.messages[:-1]


def _asked_for(found: Conversation) -> list[Json]:
    return [found.request.get("tools"), found.request.get("response_format")]


def _as_answer(correction: Json) -> Json | None:
    if isinstance(correction, str):
        return {"role": "assistant", "content": correction}
    if not isinstance(correction, dict) or correction.get("role", "assistant") != "assistant":
        return None
    has_words = isinstance(correction.get("content"), str | list) or bool(correction.get("tool_calls"))
    return {"role": "assistant", **correction} if has_words else None


def _thumb(opinion: Opinion) -> bool | None:
    return None if opinion.thumb is None else opinion.thumb == "up"


def _score(opinion: Opinion, rule: Prefer) -> bool | None:
    if opinion.score is None:
        return None
    if rule.good_score is not None and opinion.score >= rule.good_score:
        return True
    return False if rule.bad_score is not None and opinion.score <= rule.bad_score else None


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(0.0, one + other - 1)
