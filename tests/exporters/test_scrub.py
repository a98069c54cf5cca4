"""`[scrub]`: what is found, what is put in its place, and what is left: nothing of it, and everything else."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace.errors import WorkFailed
from tailrace.records import Json
from tailrace_exporters.recipe import Recipe, parse_recipe
from tailrace_exporters.recipe_tables import Personal, Scope, Secrets
from tailrace_exporters.recipe_tables import Scrub as Rule
from tailrace_exporters.rows import Dropped, Judgement, Kind, Labelled, Row, Stage
from tailrace_exporters.scrub.find import find
from tailrace_exporters.scrub.kinds import PERSONAL, Value
from tailrace_exporters.scrub.numbers import is_iban, luhn
from tailrace_exporters.scrub.pseudonyms import Pseudonyms
from tailrace_exporters.scrub.stage import Scrub
from tailrace_exporters.scrub.texts import scrubbed
from tests.exporters.logged import Call, opened, said, user
from tests.exporters.pure import export

ALL: Final = frozenset(Value)
PSEUDONYMS: Final = Pseudonyms(b"0123456789abcdef")
HEX: Final = "5f1d8c0b2e7a4936"
BASE62: Final = "Ab3dE7gHj2KlM9nPq4RsT6uVwX8yZ1aB5cD0eF"

VALUES: Final = {
    Value.OPENAI_KEY: [f"sk-proj-{BASE62}", f"sk-{BASE62}", f"sk-svcacct-{BASE62}"],
    Value.ANTHROPIC_KEY: [f"sk-ant-api03-{BASE62}"],
    Value.AWS_KEY: ["AKIAIOSFODNN7EXAMPLE"],
    Value.GITHUB_TOKEN: [f"ghp_{BASE62}", f"github_pat_{BASE62}"],
    Value.GITLAB_TOKEN: ["glpat-Ab3dE7gHj2KlM9nPq4Rs"],
    Value.SLACK_TOKEN: ["xoxb-2345678901-Ab3dE7gHj2", "https://hooks.slack.com/services/T01/B02/Ab3dE7"],
    Value.GOOGLE_KEY: ["AIzaSyAb3dE7gHj2KlM9nPq4RsT6uVwX8yZ1aB5", "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"],
    Value.STRIPE_KEY: ["sk_live_Ab3dE7gHj2KlM9nPq4Rs", "rk_test_Ab3dE7gHj2KlM9nPq4Rs"],
    Value.HF_TOKEN: ["hf_Ab3dEgHjKlMnPqRsTuVwXyZaBcDeFgHiJk"],
    Value.TAILRACE_KEY: [f"tr-{BASE62}abcde", f"tr-admin-{BASE62}abcde"],
    Value.JWT: ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"],
    Value.EMAIL: ["bob@corp.com", "Ann.O-Neil+tag@mail.corp.co.uk", "müller@straße.de", "bob%40corp.com"],
    Value.PHONE: ["+49 151 2345 6789", "+4915123456789", "(415) 555-2671", "415-555-2671", "+1 (415) 555-2671"],
    Value.CARD: ["4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "378282246310005"],
    Value.IBAN: ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "nl91abna0417164300"],
    Value.ADDRESS: ["8.8.8.8", "2606:4700:4700::1111"],
}
PEM: Final = f"-----BEGIN RSA PRIVATE KEY-----\n{BASE62 * 2}\n{BASE62}==\n-----END RSA PRIVATE KEY-----"


def kinds_in(text: str, kinds: frozenset[Value] = ALL) -> list[tuple[Value, str]]:
    data = text.encode()
    return [(found.kind, data[found.start : found.end].decode()) for found in find(data, kinds)]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, some in VALUES.items() for value in some])
@pytest.mark.parametrize("around", ["{}", "is {}, ok", "({})", '"{}"', "my\n{}\n", "<{}>.", "a: {}; b"])
def test_each_kind_is_found_alone_and_in_a_sentence(kind: Value, value: str, around: str) -> None:
    assert kinds_in(around.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"a {PEM} b", [(Value.PRIVATE_KEY, PEM)]),
        (f"-----BEGIN PRIVATE KEY-----\n{BASE62}\n", [(Value.PRIVATE_KEY, f"-----BEGIN PRIVATE KEY-----\n{BASE62}\n")]),
        (f"Authorization: Bearer {HEX}{HEX}", [(Value.BEARER, HEX * 2)]),
        ("postgres://app:s3cr3t@db:5432/x", [(Value.URL_PASSWORD, "s3cr3t")]),
        (f'api_key = "{HEX}{HEX}"', [(Value.ASSIGNED, HEX * 2)]),
        (f"AWS_SECRET_ACCESS_KEY={BASE62}", [(Value.ASSIGNED, BASE62)]),
        ("password: hunter2000!", [(Value.ASSIGNED, "hunter2000")]),
        ("Tel.: 0151 23456789", [(Value.PHONE, "0151 23456789")]),
        ("mail 邮箱bob@corp.com吗", [(Value.EMAIL, "bob@corp.com")]),
        ("“bob@corp.com”。", [(Value.EMAIL, "bob@corp.com")]),
        ("card 4111 1111 1111 1111 123 until 2027", [(Value.CARD, "4111 1111 1111 1111")]),
        ("DE89 3704 0044 0532 0130 00 BIC COBADEFF", [(Value.IBAN, "DE89 3704 0044 0532 0130 00")]),
        ("am12 DE89 3704 0044 0532 0130 00", [(Value.IBAN, "DE89 3704 0044 0532 0130 00")]),
        ("token: bob12345678901234@corp.com", [(Value.EMAIL, "bob12345678901234@corp.com")]),
        ("+49 151 23456789 2026 2027", [(Value.PHONE, "+49 151 23456789")]),
    ],
)
def test_what_stands_around_a_value_is_not_of_it(text: str, found: list[tuple[Value, str]]) -> None:
    assert kinds_in(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-04 10:33:12.123456 order 1234567890123456 v1.2.3",
        "max_tokens: 1234567890123456, token = request.headers.get, secret: required_in_production",
        "the password is required; api_key=os.environ, token: my-variable-name-of-this-module",
        "id 550e8400-e29b-41d4-a716-446655440000 sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "git@github.com:org/repo.git logo@2x.png @decorator a@b someone@example.org",
        "1790000000000 0.4111111111111111 4111111111111112 id_4111111111111111",
        "10.0.0.1 127.0.0.1 ::1 192.0.2.7 std::vector fe80::1 12:30:45",
        "sk-learn is sk-short; tr-TR; hf_hub; eyJ.eyJ.x; AKIA; Bearer authentication-middleware",
        "+12345678 -1 +1 2; 2 1234 567 8901; 0151 23456789; 3.14159265358979",
    ],
)
def test_what_only_looks_like_a_value_stays(text: str) -> None:
    assert kinds_in(text) == []


def stage(secrets: str = "mask", personal: str = "pseudonym", scope: str = "chain", *, addresses: bool = True) -> Scrub:
    key = "env:K" if personal == "pseudonym" else None
    rule = Rule(secrets=Secrets(secrets), personal=Personal(personal), scope=Scope(scope), key=key, addresses=addresses)
    return Scrub(rule, PSEUDONYMS if key else None)


def row(*messages: Json, chain: bytes = b"one", **fields: Json) -> Row:
    call = opened(1)
    made = Row(call, list(messages), None, None, None, (False,) * len(messages), (call,), chain=chain)
    return replace(made, **fields)


def after(row: Row, by: Scrub | None = None) -> Row:
    (found,) = (by or stage()).take(row, {})
    assert isinstance(found, Row), found
    return found


def text_of(text: str, by: Scrub | None = None, chain: bytes = b"one") -> str:
    return str(after(row(user(text), chain=chain), by).messages[0]["content"])


def everything(value: str) -> Row:
    """A row with a value in each place that words can stand in."""
    arguments = orjson.dumps({"to": [value], "inner": orjson.dumps({"deep": orjson.dumps([value]).decode()}).decode()})
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments.decode()}}
    tool = {"type": "function", "function": {"name": "send", "description": value, "parameters": {"enum": [value]}}}
    return row(
        {"role": "system", "content": f"I am {value}."},
        {"role": "user", "name": value, "content": [{"type": "text", "text": value}]},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": value},
        {"role": "tool", "tool_call_id": "c1", "content": f'{{"{value}": "{value}"}}'},
        said(value),
        tools=[tool],
        response_format={"type": "json_schema", "json_schema": {"schema": {"properties": {value: {"const": value}}}}},
        kind=Kind.PREFERENCE,
        judgement=Judgement("edited", None, rejected=said(f"no, {value}")),
        labels=(Labelled("entities", {"entities": [{"text": value, "label": "who"}]}, 1.0, "model"),),
        balance=value,
        tags={"user": value},
    )


def parameters_of(row: Row) -> Json:
    assert row.tools is not None
    return row.tools[0]["function"]["parameters"]


def words_of(row: Row) -> str:
    rejected = None if row.judgement is None else row.judgement.rejected
    labels = [each.label for each in row.labels]
    whole = [row.messages, row.tools, row.response_format, rejected, labels, row.balance, row.tags]
    return orjson.dumps(whole).decode()


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, some in VALUES.items() for value in some])
@pytest.mark.parametrize("personal", ["mask", "pseudonym"])
def test_no_part_of_a_row_keeps_a_value(kind: Value, value: str, personal: str) -> None:
    before = everything(value)
    made = after(before, stage(personal=personal))
    assert value not in words_of(made)
    arguments = json.loads(made.messages[2]["tool_calls"][0]["function"]["arguments"])
    (instead,) = arguments["to"]
    assert json.loads(json.loads(arguments["inner"])["deep"]) == [instead]
    if personal == "mask" or kind not in PERSONAL:
        assert instead == f"[masked:{kind.value}]"
    assert words_of(made) == words_of(before).replace(value, instead)
    assert words_of(after(made, stage(personal=personal))) == words_of(made)


@pytest.mark.parametrize(
    "escaped",
    [
        r"bob\u0040corp.com",
        r"\u0062ob@corp\u002ecom",
        r"\nbob@corp.com",
        r"\\nbob@corp.com\\n",
        r"\\\\u0040 bob\\\\u0040corp.com",
        r"see C:\bob@corp.com",
        r"\"bob@corp.com\"",
        r"\ud83d\ude00bob@corp.com\t",
    ],
)
def test_a_value_hides_behind_no_escape(escaped: str) -> None:
    made = text_of(escaped, stage(personal="mask"))
    assert re.fullmatch(r".*\[masked:email\].*", made), made
    assert "corp" not in made
    try:
        json.loads(f'"{escaped}"')
    except json.JSONDecodeError:
        return
    json.loads(f'"{made}"')


def test_half_an_escape_is_not_replaced() -> None:
    """As it is written it is a key after a backslash; as it reads, a line's end and something else. JSON stays JSON."""
    made = text_of(r'{"path": "C:\\rk_live_Ab3dE7gHj2KlM9nPq4Rs", "text": "\rk_live_Ab3dE7gHj2KlM9nPq4Rs"}')
    assert json.loads(made) == {"path": "C:\\r[masked:stripe_key]", "text": "\r[masked:stripe_key]"}


def test_escapes_beyond_reach_drop_the_row() -> None:
    deep = "bob@corp.com"
    for _ in range(10):
        deep = orjson.dumps([deep, "\n"]).decode()
    (found,) = stage().take(row(user(deep)), {})
    assert isinstance(found, Dropped)
    assert found.reason == "tangled_escapes"


def test_numbers_stay_numbers() -> None:
    arguments = '{"card": 4111111111111111, "n": [4111111111111111 ], "s": "4111111111111111"}'
    assert json.loads(text_of(arguments, stage(personal="mask"))) == {"card": 0, "n": [0], "s": "[masked:card]"}
    made = json.loads(text_of(arguments))
    assert str(made["card"]) == str(made["n"][0]) == made["s"]
    nested = orjson.dumps({"arguments": arguments}).decode()
    assert json.loads(json.loads(text_of(nested, stage(personal="mask")))["arguments"])["card"] == 0
    schema = [{"type": "function", "function": {"name": "pay", "parameters": {"default": 4111111111111111}}}]
    masked = after(row(user("a"), tools=schema), stage(personal="mask"))
    assert parameters_of(masked)["default"] == 0
    assert type(parameters_of(after(row(user("a"), tools=schema)))["default"]) is int


def test_a_secret_is_known_by_its_key_in_the_structure_too() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"default": {"api_key": HEX * 2}}}}
    made = after(row(user("a"), tools=[tool]))
    assert parameters_of(made)["default"] == {"api_key": "[masked:assigned_secret]"}


def test_tools_that_are_known_are_searched_again_where_the_row_has_a_value() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "it once was hunter2000"}}]
    by = stage()
    first = row(user("a"), tools=tools)
    assert after(first, by) is first
    assert after(first, by) is first
    assert "hunter2000" not in words_of(after(row(user("password: hunter2000"), tools=tools), by))
    told = [{"type": "function", "function": {"name": "f", "description": "bob@corp.com"}}]
    assert ["bob" in words_of(after(row(user("a"), tools=told), by)) for _ in range(2)] == [False, False]
    assert "bob" not in words_of(after(row(user("I am bob@corp.com"), tools=tools), by))


def test_what_one_text_tells_is_replaced_in_the_others() -> None:
    made = after(row(user("password: hunter2000 please"), said("I used hunter2000 as you said"), user("x\\hunter2000")))
    assert "hunter2000" not in words_of(made)


def test_what_is_carried_as_base64_is_untouched() -> None:
    carried = "QUtJ" * 20 + "/4111111111111111+" + "QQ=="
    url = f"data:image/png;base64,{carried}"
    image = {"type": "image_url", "image_url": {"url": url}}
    audio = {"type": "input_audio", "input_audio": {"data": carried, "format": "wav"}}
    text = {"type": "text", "text": f"bob@corp.com {url} bob@corp.com {url}."}
    made = after(row({"role": "user", "content": [image, audio, text]}), stage(personal="mask"))
    assert made.messages[0]["content"][:2] == [image, audio]
    assert made.messages[0]["content"][2]["text"] == f"[masked:email] {url} [masked:email] {url}."


def test_keys_that_are_masked_alike_stay_two() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"a@corp.com": 1, "b@corp.com": 2}}}
    made = after(row(user("a"), tools=[tool]), stage(personal="mask"))
    assert list(parameters_of(made).values()) == [1, 2]


def test_pseudonyms_are_one_in_a_chain_and_others_elsewhere() -> None:
    both = text_of("bob@corp.com BOB@corp.com ann@corp.com")
    first, same, other = both.split()
    assert first == same != other
    assert text_of("so bob@corp.com") == f"so {first}"
    assert text_of("bob@corp.com", chain=b"two") != first
    everywhere = [text_of("bob@corp.com", stage(scope="dataset"), chain=chain) for chain in (b"one", b"two")]
    assert everywhere[0] == everywhere[1]
    assert Pseudonyms(b"another key......").of("bob@corp.com", Value.EMAIL, b"one") != first


def test_two_spellings_of_a_number_are_one_number() -> None:
    spaced, dashed = (text_of(f"4111{mark}1111{mark}1111{mark}1111") for mark in " -")
    assert spaced.replace(" ", "-") == dashed


def test_pseudonyms_have_the_shape_of_what_they_stand_for() -> None:
    for kind in PERSONAL:
        for value in VALUES[kind]:
            made = text_of(value)
            assert made != value
            if kind in {Value.CARD, Value.IBAN, Value.PHONE}:
                assert re.sub(r"[A-Z]", "A", re.sub(r"\d", "0", made)) == re.sub(
                    r"[A-Z]", "A", re.sub(r"\d", "0", value.upper())
                )
            plain = re.sub(r"[^A-Z0-9]", "", made)
            assert kind is not Value.CARD or (luhn(plain) == 0 and plain.startswith("424242"))
            assert kind is not Value.IBAN or (is_iban(plain) and plain[:2] == value[:2].upper())
            assert kind is not Value.EMAIL or re.fullmatch(r"user\.[a-z2-7]{8}(@|%40)example\.org", made)


def test_a_secret_stops_the_export_with_a_line_that_does_not_tell_it() -> None:
    secret = f"sk-ant-api03-{BASE62}"
    with pytest.raises(WorkFailed) as caught:
        after(row(user("a"), user(secret)), stage(secrets="refuse"))
    told = str(caught.value)
    assert "/messages/1/content holds a secret (anthropic_key)" in told
    assert str(caught.value).startswith("completion 01")
    assert secret not in told
    assert "\n" not in told


def test_a_secret_drops_its_row_with_a_pointer_that_does_not_tell_it() -> None:
    arguments = {"a": {f"bob@corp.com/{BASE62}": {"x": f"ghp_{BASE62}"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": arguments}}
    (found,) = stage(secrets="drop").take(row(user("a"), tools=[tool]), {})
    assert isinstance(found, Dropped)
    assert (found.stage, found.reason) == (Stage.SCRUB, "secret:github_token")
    assert found.pointer is not None
    assert found.pointer.startswith("/tools/0/function/parameters/a/[masked:email]")


def test_what_is_to_be_kept_is_kept() -> None:
    before = row(user("bob@corp.com, +49 151 2345 6789"))
    assert after(before, stage(personal="keep")) is before
    kept = text_of(f"bob@corp.com sk-{BASE62}", stage(personal="keep"))
    assert kept == "bob@corp.com [masked:openai_key]"
    assert text_of("8.8.8.8", stage(addresses=False)) == "8.8.8.8"


words = st.sampled_from(
    [value for some in VALUES.values() for value in some]
    + [PEM, "password=hunter2000", f"Bearer {HEX}{HEX}", "ftp://a:s3cr3t99@h", "Tel 0151 2345678", "token: "]
    + ["hello", "\\", '"', "\n", "\\n", "\\u0040", "a", "1", "000", "+", ".", ":", "é", "吗", "\0", "4242", "/", "@"]
)
texts = st.lists(st.tuples(words, st.sampled_from(["", " ", ", ", "\\", '"', "-", "\\\\u0040"])), max_size=6).map(
    lambda parts: "".join(word + mark for word, mark in parts)
)


def values_in(text: str, by: Scrub) -> Iterator[str]:
    for kind, value in kinds_in(text):
        if kind in by._kinds:
            yield value


@settings(max_examples=250, deadline=None)
@given(texts, st.sampled_from(["mask", "pseudonym"]), st.integers(0, 3))
@example("+49 151 2345 6789 415-555-2671", "pseudonym", 0)
@example("token: bob12345678901234@corp.com", "pseudonym", 0)
def test_whatever_the_text_no_value_is_left_and_twice_is_once(text: str, personal: str, depth: int) -> None:
    for _ in range(depth):
        text = orjson.dumps({"a": text, "n": [1]}).decode()
    by = stage(personal=personal)
    (found,) = by.take(row(user(text)), {})
    if isinstance(found, Dropped):
        assert found.reason == "tangled_escapes"
        return
    made = found.messages[0]["content"]
    assert not [value for value in values_in(text, by) if value in made and value not in "\\n\\t"]
    assert after(found, stage(personal=personal)) == found
    for _ in range(depth):
        inner = json.loads(made)
        assert inner["n"] == [1]
        made = inner["a"]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_outside_a_value_changes(before: str, behind: str) -> None:
    before, behind = before.replace("[", ""), behind.replace("[", "")
    secret = f"ghp_{BASE62}"
    made = text_of(f"{before} {secret} {behind}", stage(personal="keep"))
    assert made == f"{before} [masked:github_token] {behind}"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PERSONAL)), st.text(min_size=1, max_size=8), st.data())
def test_a_pseudonym_is_never_a_value(kind: Value, scope: str, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(VALUES[kind]))
    made = PSEUDONYMS.of(value, kind, scope.encode())
    assert kinds_in(made) == []
    assert scrubbed(made.encode(), lambda *_: "x", ALL).decode() == made


def test_rows_that_were_equal_are_duplicates_though_their_pseudonyms_differ() -> None:
    log = {n: (Call(n, [user("I am bob@corp.com")], said("hi")), None) for n in (1, 2)}
    log |= {3: (Call(3, [user("I am ann@corp.com")], said("hi")), None)}
    recipe = parse_recipe('[scrub]\npersonal = "pseudonym"\nkey = "env:K"\n', "r.toml")
    pipeline, placed = export(log, recipe, environ={"K": "0123456789abcdef"})
    assert [each.row.head.seq for each in placed] == [1, 3]
    assert pipeline.ledger.stages[Stage.DEDUPE].dropped == {"duplicate": 1}
    assert pipeline.facts["scrub"]["values"] == {"email": 3}
    assert "bob" not in words_of(placed[0].row)
    assert Recipe().scrub is None
