"""Classifiers in the settings: what is taken for granted, and each mistake with its place and remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tailrace.errors import SettingsError
from tailrace.settings import Settings
from tailrace.settings_classifier_checks import is_allowed
from tailrace.settings_classifiers import Classifier, Modes, compile_expression
from tailrace.settings_doc import as_toml
from tailrace.settings_load import load, public

HEAD = '[classifiers.c]\nlabels = {yes = "agrees", no = "declines"}\nllm = {model = "sim/echo"}\n'
RULE = '[[classifiers.c.rules]]\nlabel = "yes"\n'
ACT = '[[classifiers.c.actions]]\non = "yes"\n'
HOOKS = '[webhooks]\nhosts = ["hooks.test"]\nsecret = "env:S"\n'


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "t.toml"
    path.write_text('default_provider = "sim"\n' + text)
    return load(path, {"S": "s3cret"})


def test_the_example_of_the_specification_loads_and_comes_back_from_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").touch()
    (tmp_path / "i.md").touch()
    text = f"""
[classifiers.reply_intent]
task = "classification"
when = "before"
applies_to = {{role = "user", step = ">=2", models = ["support-bot"], tags = {{app = "checkout"}}}}
context = {{turns = 2, chars = 600, previous_label = true}}
labels = {{confirm = "agrees", reject = "declines", question = "asks", none = "anything else"}}
glossary = {{"PNR" = "booking reference"}}
deadline_ms = 400
cascade = ["rules", "cache", "student", "llm"]
target_agreement = 0.95
audit_share = 0.05
[[classifiers.reply_intent.rules]]
label = "confirm"
any = ["(?i)^(yes|yep|sure|ok(ay)?)[.! ]*$"]
not = ["but"]
[classifiers.reply_intent.llm]
model = "sim/echo"
instructions = "{tmp_path}/i.md"
examples = {{from = "{tmp_path}/gold.jsonl", select = "similar_diverse", count = 8}}
reasoning = false
documents = "{tmp_path}"
[[classifiers.reply_intent.actions]]
on = "reject"
min_confidence = 0.9
do = "route"
target = "sim/echo"
"""
    settings = read(tmp_path, text)
    found = settings.classifiers["reply_intent"]
    assert list(found.definitions()) == ["confirm", "reject", "question", "none"]
    assert (found.rules[0].not_, found.llm and found.llm.examples and found.llm.examples.count) == (("but",), 8)
    shown = tmp_path / "shown.toml"
    shown.write_text(as_toml(public(settings)))
    assert load(shown, {}) == settings


def test_none_is_always_possible_and_tasks_bring_their_labels() -> None:
    assert list(Classifier(labels={"a": ""}).definitions()) == ["a", "none"]
    assert list(Classifier(labels={"none": "x", "a": ""}).definitions()) == ["none", "a"]
    assert list(Classifier(task="sentiment").definitions()) == ["positive", "negative", "neutral", "none"]
    assert list(Classifier(task="sentiment", labels={"good": ""}).definitions()) == ["good", "none"]


def test_no_source_goes_further_than_its_classifier_or_its_own_mode() -> None:
    one = Classifier(mode="shadow", modes=Modes(llm="off"), cascade=("rules", "llm"))
    assert [one.mode_of(source) for source in ("rules", "llm", "student")] == ["shadow", "off", "off"]
    assert Classifier(modes=Modes(llm="shadow")).mode_of("llm") == "shadow"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[classifiers."a b"]\nlabels = {x = ""}\nllm = {model = "m"}', "a classifier's name is a letter"),
        ('[classifiers.c]\nllm = {model = "m"}', "c.task: classification needs labels; add labels"),
        ('[classifiers.c]\nllm = {model = "m"}\nlabels = {none = "x"}', "c.task: classification needs labels"),
        ('[classifiers.c]\nlabels = {x = ""}', "c: has neither rules nor an llm"),
        (HEAD.replace("yes =", '"a,b" ='), 'labels."a,b": is no label'),
        (HEAD.replace("yes =", '" yes" ='), 'labels." yes": is no label'),
        (HEAD.replace("yes =", 'No = "", yes ='), 'labels.no: cannot be told from "No" when its case differs'),
        (HEAD.replace("yes =", '"book-it" = "", Book_It = "", yes ='), 'labels.Book_It: cannot be told from "book-it"'),
        (HEAD.replace("yes =", 'NONE = "", yes ='), 'labels.NONE: cannot be told from "none"'),
        ('[classifiers.c]\ntask = "qa"\nllm = {model = "m"}', "c.task: qa needs a question"),
        (
            '[classifiers.c]\nquestion = "?"\nlabels = {a = ""}\nllm = {model = "m"}',
            'question: is only asked with task = "qa"',
        ),
        (HEAD + RULE + 'any = ["("]', "rules[0].any[0]: expected an expression of RE2"),
        (HEAD + RULE + 'any = ["(?=a)"]', "rules[0].any[0]: expected an expression of RE2, which has no lookaround"),
        (HEAD + RULE + 'any = ["a{1000}{1000}"]', "rules[0].any[0]: expected an expression of RE2"),
        (HEAD + RULE + 'not = ["a"]', "rules[0]: would always fire; give it any, all or exact"),
        (
            HEAD + RULE.replace("yes", "maybe") + 'any = ["a"]',
            'rules[0].label: "maybe" is no label here; choose one of: yes, no, none',
        ),
        (
            HEAD.replace("]\n", ']\ncascade = ["llm"]\n', 1) + RULE + 'any = ["a"]',
            'c.rules: are never asked; add "rules"',
        ),
        (HEAD.replace("]\n", ']\ncascade = ["llm", "llm"]\n', 1), "c.cascade: names a source twice"),
        (HEAD.replace("]\n", ']\ntask = "ner"\n', 1) + RULE + 'any = ["a"]', "c.rules: cannot find what ner looks for"),
        (HEAD + ACT.replace("yes", "maybe") + 'do = "tag"\ntag = "t"', 'actions[0].on: "maybe" is no label here'),
        (HEAD + ACT + 'do = "tag"', 'actions[0]: do = "tag" needs tag; add it'),
        (HEAD + ACT + 'do = "tag"\ntag = "t"\ntext = "x"', 'actions[0].text: means nothing with do = "tag"'),
        (HEAD + ACT + 'do = "reply"\ntext = "x"', 'actions[0].do: "reply" comes too late after the answer'),
        (
            HEAD.replace("]\n", ']\nwhen = "before"\n', 1) + ACT + 'do = "route"\ntarget = "gone"',
            'target: "gone" is no alias',
        ),
        (HEAD + ACT + 'do = "webhook"\nurl = "https://hooks.test/x"', "actions[0].url: is not http(s) at a host"),
        (
            HEAD + ACT + 'do = "webhook"\nurl = "https://other.test/x"\n' + HOOKS,
            "actions[0].url: is not http(s) at a host",
        ),
        (
            HEAD + ACT + 'do = "webhook"\nurl = "https://hooks.test/x"\n' + HOOKS.replace("secret", "#"),
            "actions[0].url: needs a secret",
        ),
        ('[webhooks]\nsecret = "whsec"', "webhooks.secret: a secret is not written here"),
        ('[webhooks]\nsecret = "env:GONE"', "webhooks.secret: the variable GONE is not set"),
        ('[webhooks]\nhosts = ["https://x"]', "webhooks.hosts[0]: is no host; write hooks.example.com"),
        (
            HEAD.replace('"sim/echo"', '"sim/echo", instructions = "gone.md"'),
            "llm.instructions: gone.md is no file that can be read",
        ),
        (
            HEAD.replace('"sim/echo"', '"sim/echo", examples = {from = "gone.jsonl"}'),
            "llm.examples.from: gone.jsonl is no file",
        ),
        (HEAD.replace('"sim/echo"', '"sim/echo", documents = "gone"'), "llm.documents: gone is no folder"),
        (
            HEAD.replace('"sim/echo"', '"sim/echo", examples = {form = "x"}'),
            'examples.form: unknown key; did you mean "from"?',
        ),
        (HEAD.replace("]\n", ']\napplies_to = {step = "later"}\n', 1), "applies_to.step"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_remedy(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_is_sensible_is_left_alone(tmp_path: Path) -> None:
    text = HEAD.replace("]\n", ']\nwhen = "before"\n', 1) + ACT + 'do = "route"\ntarget = "sim/echo"\n'
    text += ACT + 'do = "webhook"\nurl = "https://hooks.test/x"\n' + HOOKS
    settings = read(tmp_path, text)
    assert settings.webhooks.secret == SecretStr("s3cret")
    assert "s3cret" not in str(public(settings))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://hooks.test/x?y", True),
        ("HTTPS://HOOKS.test:443/x", True),
        ("http://hooks.test", True),
        ("https://hooks.test:8443/", False),
        ("https://local.test:8443/", True),
        ("https://local.test/", False),
        ("http://[::1]:9/", True),
        ("https://hooks.test@evil.test/", False),
        ("https://user:pw@hooks.test/", False),
        ("https://evil.test/hooks.test", False),
        ("https://hooks.test.evil.test/", False),
        ("https://evil.test\\@hooks.test/", False),
        ("gopher://hooks.test/", False),
        ("file:///etc/passwd", False),
        ("//hooks.test/", False),
        ("https://hooks.test:x/", False),
        ("https://hooks.test\n.evil.test/", False),
        ("", False),
    ],
)
def test_only_named_hosts_are_called(url: str, good: bool) -> None:
    assert is_allowed(url, ("hooks.test", "local.test:8443", "[::1]:9")) is good


@given(st.text())
def test_any_address_is_judged(url: str) -> None:
    assert not is_allowed(url, ())


def test_an_expression_takes_time_linear_in_the_text() -> None:
    # With backtracking this would take longer than the universe has.
    assert compile_expression(r"(a+)+$").search("a" * 200_000 + "b") is None
    assert compile_expression(r"(.*a){20}$").search("a" * 20_000 + "b") is None
