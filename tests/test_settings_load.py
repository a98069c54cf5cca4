"""Settings: every mistake is one line with its place; secrets come by reference and stay out of sight."""

import re
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import SettingsError
from tailrace.settings import OPENAI_URL, Settings
from tailrace.settings_load import config_hash, load, public
from tests.ordinary import closed_folder, ordinary_user

CANARY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "t.toml") -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(write(text), environ or {})
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    return str(caught.value).splitlines()


def test_without_anything_callers_bring_their_keys_to_openai() -> None:
    settings = load(None, {})
    assert settings == Settings()
    assert settings.providers["openai"].api_key is None


def test_without_anything_but_a_key_openai_gets_it() -> None:
    provider = load(None, {"OPENAI_API_KEY": CANARY}).providers["openai"]
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == CANARY
    assert provider.base_url == OPENAI_URL


def test_an_empty_key_in_the_environment_is_no_key() -> None:
    assert load(None, {"OPENAI_API_KEY": ""}).providers["openai"].api_key is None


def test_the_file_in_the_folder_is_read_when_none_is_named() -> None:
    write("[server]\nport = 1234\n", "tailrace.toml")
    assert load(None, {}).server.port == 1234
    assert load(write("", "other.toml"), {}).server.port == 4700


def test_the_environment_stands_over_the_file() -> None:
    path = write('[server]\nport = 1\n[models."Support-Bot"]\ntargets = [{provider = "sim", model = "echo"}]\n')
    environ = {
        "TAILRACE_SERVER__PORT": "4711",
        "TAILRACE_LOG__MAX": "",
        "TAILRACE_LOG__SEGMENT_BYTES": "1 MiB",
        "TAILRACE_MODELS__SUPPORT_BOT__ON_DISCONNECT": "drain",
        "TAILRACE_SIMULATOR__ENABLED": "true",
        "TAILRACE_PROVIDERS__LOCAL": '{"base_url": "http://127.0.0.1:1/v1"}',
        "TAILRACE_DEFAULT_PROVIDER": "local",
    }
    del environ["TAILRACE_LOG__MAX"]
    settings = load(path, environ)
    assert settings.server.port == 4711
    assert settings.log.segment_bytes == 2**20
    assert settings.models["Support-Bot"].on_disconnect == "drain"
    assert settings.providers["local"].base_url == "http://127.0.0.1:1/v1"


def test_variables_that_kubernetes_adds_or_recipes_read_are_not_settings() -> None:
    environ = {
        "TAILRACE_PORT": "tcp://10.0.0.1:4700",
        "TAILRACE_SERVICE_HOST": "10.0.0.1",
        "TAILRACE_PORT_4700_TCP": "x",
        "TAILRACE_SCRUB_KEY": "of a recipe",
    }
    assert load(None, environ) == Settings()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[server]\nprot = 1\n", 't.toml:2: server.prot: unknown key; did you mean "port"?'),
        ("\n\nport = 1\n", "t.toml:3: port: unknown key; it belongs in [server]"),
        ("[sever]\nport = 1\n", 't.toml:1: sever: unknown key; did you mean "server"?'),
        ('[server]\nport = "x"\n', 't.toml:2: server.port: expected a whole number, found "x"'),
        ('[server]\nport = "4700"\n', 't.toml:2: server.port: expected a whole number, found "4700"'),
        ("[server]\nport = true\n", "t.toml:2: server.port: expected a whole number, found true"),
        ("[server]\nport = 70000\n", "t.toml:2: server.port: expected at most 65535, found 70000"),
        ("[server]\ndrain_s = inf\n", "t.toml:2: server.drain_s: expected a finite number, found Infinity"),
        ("server = 1\n", "t.toml:1: server: expected a table, found 1"),
        ('[log]\ndata_dir = ""\n', 't.toml:2: log.data_dir: expected a folder such as "data" or '),
        ('[log]\ndata_dir = "a\\u0000b"\n', "t.toml:2: log.data_dir: expected a folder such as "),
        ('[server]\nhost = ""\n', 't.toml:2: server.host: expected at least 1 character, found ""'),
        ("[log]\ndata_dir = 1\n", "t.toml:2: log.data_dir: expected text in quotes, found 1"),
        ('[log]\ndurability = "pwer"\n', "t.toml:2: log.durability: expected 'power' or 'process', found \"pwer\""),
        (
            '[log]\nsegment_bytes = "many"\n',
            't.toml:2: log.segment_bytes: expected a size such as 1048576, "512 KiB" or "20 GiB", found "many"',
        ),
        ("[log]\nsegment_bytes = 1024\n", "t.toml:1: log.part_bytes: must be less than log.segment_bytes (1024)"),
        (
            'default_provider = "x"\n',
            't.toml:1: default_provider: there is no provider "x"; add [providers.x] or choose',
        ),
        (
            '[models.a]\ntargets = [\n  {provider = "x", model = "m"}]\n',
            't.toml:2: models.a.targets[0].provider: there is no provider "x"',
        ),
        (
            '[[models."a.b".targets]]\n\n\n[[models."a.b".targets]]\nprovider = "sim"\nmodl = "m"\n',
            't.toml:6: models."a.b".targets[1].modl: unknown key; did you mean "model"?',
        ),
        (
            '[models.a]\ntargets = [{provider="sim", model="m", weight=0}]\n',
            "t.toml:2: models.a.targets: no target has",
        ),
        (
            '[models."sim/a"]\ntargets = [{provider="sim", model="m"}]\n',
            't.toml:1: models."sim/a": names that begin with',
        ),
        ('[providers.sim]\nbase_url = "http://x/v1"\n', "t.toml:1: providers.sim: `sim` is the built-in simulator"),
        (
            '[providers.openai]\nbase_url = "http://x/v1"\nhttp2 = true\n',
            't.toml:3: providers.openai.http2: needs transport = "httpx"',
        ),
        ('[providers.openai]\nbase_url = "ftp://x"\n', 't.toml:2: providers.openai.base_url: found "ftp://x", which'),
        ("[providers.openai]\nhttp2 = false\n", "t.toml:1: providers.openai.base_url: is missing; Up to and including"),
        (
            '[simulator]\nenabled = false\n[models.a]\ntargets = [{provider="sim", model="m"}]\n',
            "t.toml:4: models.a.targets[0].provider: `sim` is switched off",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, line: str) -> None:
    found = mistakes(text)
    assert any(each.startswith(line) for each in found), found


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes("[server]\nport = 'x'\nhots = 1\n", {"TAILRACE_LOG__LEVEL": "loud"})
    assert [each.split(":")[0] for each in found] == ["t.toml", "t.toml", "TAILRACE_LOG__LEVEL"]


def test_an_unknown_variable_is_refused_like_an_unknown_key() -> None:
    assert mistakes("", {"TAILRACE_SERVER__PROT": "1"}) == [
        'TAILRACE_SERVER__PROT: server.prot: unknown key; did you mean "port"?'
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = = 2\n", "t.toml:2:5: "), ("a = [1,\n", "t.toml:1:"), ("a = 1\na = 2\n", "t.toml:2:")],
)
def test_bad_toml_is_told_with_line_and_column(text: str, place: str) -> None:
    (line,) = mistakes(text)
    assert line.startswith(place)
    assert "no TOML" in line


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read \(No such file"):
        load(Path("nowhere.toml"), {})
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path, {})
    Path("latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(SettingsError, match=r"latin\.toml: byte 5 is no UTF-8"):
        load(Path("latin.toml"), {})


def openai(key: str, more: str = "") -> str:
    return f'[providers.openai]\nbase_url = "http://x/v1"\napi_key = "{key}"\n{more}'


def test_a_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    for path, environ in (
        (write(openai("env:MINE")), {"MINE": CANARY}),
        (write(openai(f"file:{tmp_path / 'key'}"), "f.toml"), {}),
    ):
        key = load(path, environ).providers["openai"].api_key
        assert key is not None
        assert key.get_secret_value() == CANARY


def test_client_passes_the_callers_key_on() -> None:
    assert load(write(openai("client")), {}).providers["openai"].api_key is None


def test_none_sends_no_key_and_is_shown_so() -> None:
    settings = load(write(openai("none")), {})
    key = settings.providers["openai"].api_key
    assert key is not None
    assert not key.get_secret_value()
    assert public(settings)["providers"]["openai"]["api_key"] == "none"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("env:MINE", "the variable MINE is not set"),
        ("env:EMPTY", "the variable EMPTY is empty"),
        ("env:BLANK", "the variable BLANK is empty"),
        ("env:BROKEN", "env:BROKEN holds a line break"),
        ("file:/nowhere/key", "/nowhere/key cannot be read (No such file"),
        ("file:key", "needs an absolute path"),
        ("file:/dev/null", "/dev/null is empty"),
        (CANARY, 'put it into a variable and write "env:OPENAI_API_KEY"'),
        ("", "a secret is not written here"),
    ],
)
def test_a_key_that_leads_nowhere_is_refused_with_the_remedy(key: str, says: str) -> None:
    (line,) = mistakes(openai(key), {"EMPTY": "", "BLANK": " ", "BROKEN": f"{CANARY}\nX: y"})
    assert line.startswith("t.toml:3: providers.openai.api_key: ")
    assert says in line
    assert CANARY not in line


def test_a_headers_reference_is_resolved_and_its_text_may_stand_there() -> None:
    path = write(openai("client", 'headers = {"OpenAI-Organization" = "org", "x-proxy" = "env:MINE"}'))
    headers = load(path, {"MINE": CANARY}).providers["openai"].headers
    assert {name: value.get_secret_value() for name, value in headers.items()} == {
        "OpenAI-Organization": "org",
        "x-proxy": CANARY,
    }
    assert "MINE is not set" in mistakes(path.read_text())[0]


@pytest.mark.parametrize("header", ['"bad name" = "x"', 'host = "x"', 'x = "a\\r\\nb: c"', 'x = "é"'])
def test_a_header_that_cannot_be_sent_is_refused(header: str) -> None:
    (line,) = mistakes(openai("client", f"headers = {{{header}}}"))
    assert line.startswith("t.toml:4: providers.openai.headers")


def test_no_secret_in_any_text() -> None:
    settings = load(write(openai("env:MINE", 'headers = {x = "env:MINE"}')), {"MINE": CANARY})
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(public(settings))):
        assert CANARY not in text
    wrong = (CANARY, ""), ("client", f"api_kye = '{CANARY}'"), ("client", f"headers = '{CANARY}'")
    for text in (openai(*parts) for parts in wrong):
        assert all(CANARY not in line for line in mistakes(text))


def test_the_hash_names_the_settings_and_not_the_secrets() -> None:
    path = write(openai("env:MINE"))
    one, other = (load(path, {"MINE": key}) for key in ("a", "b"))
    assert config_hash(one) == config_hash(other)
    assert re.fullmatch("[0-9a-f]{8}", config_hash(one))
    assert config_hash(one) != config_hash(load(path, {"MINE": "a", "TAILRACE_SERVER__PORT": "1"}))


@given(st.text(max_size=60))
def test_any_text_is_settings_or_a_settings_error(text: str) -> None:
    path = Path("any.toml")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path, {})
    except SettingsError as exc:
        assert str(exc)  # noqa: PT017 either outcome is right


@given(
    st.sampled_from(sorted(Settings.model_fields)), st.text("abcdefgh_", min_size=1, max_size=12), st.text(max_size=20)
)
def test_any_variable_is_settings_or_a_settings_error(table: str, key: str, value: str) -> None:
    try:
        load(None, {f"TAILRACE_{table}__{key}".upper(): value})
    except SettingsError as exc:
        assert str(exc).startswith("TAILRACE_")  # noqa: PT017 either outcome is right


def test_a_folder_that_may_not_be_searched_holds_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `sudo -u somebody tailrace …` is called in /root."""
    with closed_folder(0o755) as folder:
        monkeypatch.chdir(folder)
        folder.chmod(0)
        with ordinary_user():
            assert load(None, {}).server.port == 4700
        monkeypatch.chdir(tmp_path)
