"""The settings: frozen models, one per TOML table, each field with its default and one line of meaning.

Owns the names a user types and nothing else (`settings_classifiers.py` has those of classifiers); `settings_load.py`
reads the file and the environment, resolves secrets and turns a mistake into one line, `settings_checks.py` knows which
settings contradict each other, `settings_doc.py` writes them down. Sizes are bytes and accept "20 GiB"; times are
seconds (`_s`) or milliseconds (`_ms`).
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr

from tailrace.settings_classifiers import Classifier, Webhooks
from tailrace.settings_table import Bytes, Count, Seconds, Share, Table, Usd, parse_folder

SIMULATED: Final = "sim"
"""The provider of every model named `sim/…`: built in, needs no key, never leaves the process."""

OPENAI_URL: Final = "https://api.openai.com/v1"

MODEL_PLACE: Final = "{model}"
"""In a provider's `base_url`: where the path takes the model's name."""


def split_base_url(base_url: str) -> tuple[str, str]:
    """A provider's address, and the path that each call's model is filled into; empty where it has no place for one."""
    if MODEL_PLACE not in base_url:
        return base_url, ""
    scheme, _, rest = base_url.partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", f"/{path.rstrip('/')}"


def parse_fallback(value: object) -> object:
    """A fallback from "provider/model"; other values are left for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    provider, _, model = value.partition("/")
    if not (provider and model):
        raise ValueError('"provider/model" or {provider = …, model = …}')
    return Fallback(provider=provider, model=model)


class Server(Table):
    """Where the proxy listens and what it accepts."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on; one that is not loopback needs an admin key (`tailrace keys create NAME --admin`)."""
    port: Annotated[int, Field(ge=0, le=65535)] = 4700
    """Port to listen on; 0 takes a free one, which the ready line names."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Relay processes. They share one listening socket."""
    max_request_bytes: Bytes = 64 * 2**20
    """Largest request body; a larger one is refused with 413 before it is parsed."""
    body_timeout_s: Seconds = 30
    """How long a client may pause while it sends its body."""
    max_in_flight: Count = 4096
    """Calls at once per worker; one more is refused with 503."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (`10.0.0.0/8`) whose X-Forwarded-For and -Proto are believed; nobody's by default."""
    drain_s: Annotated[float, Field(ge=0)] = 20
    """On SIGTERM, how long running answers may go on before they are cut with an error event and logged so."""


class Keys(Table):
    """Who may call. As soon as there is a key, every call needs one; `tailrace keys` makes and revokes them."""

    admin: SecretStr | None = None
    """`env:NAME` or `file:/path`: an admin key that stands here and not in the store, such as a container's first."""
    stale_s: Seconds = 3600
    """How long known keys go on working when nobody can tell whether one was revoked: the writer is down."""
    assumed_output_tokens: Count = 1024
    """How long an answer is taken to become where the request does not bound it: what a limit reserves for a call."""
    unpriced: Literal["refuse", "free"] = "refuse"
    """A key with a budget asks for a model without a known price: refuse it, or let it count as nothing."""


class Log(Table):
    """What is kept, where, and how surely."""

    data_dir: Annotated[Path, BeforeValidator(parse_folder)] = Path("data")
    """The folder of the journal, the store and its backups; made when missing, readable by its owner only."""
    durability: Literal["power", "process"] = "power"
    """What an answer's last byte waits for: a disk sync (`power`), or the kernel, which a power loss takes with it."""
    on_log_failure: Literal["refuse", "serve"] = "refuse"
    """When the journal cannot keep a call: refuse it with 503, or serve it and count it as a gap."""
    journal_max_bytes: Bytes = 2 * 2**30
    """Most bytes the journal may hold before the writer has filed them; at the cap `on_log_failure` decides."""
    segment_bytes: Bytes = 16 * 2**20
    """Size of one journal segment, reserved on disk when it is opened."""
    part_interval_s: Seconds = 1.0
    """A running stream's text reaches the journal at least this often."""
    part_bytes: Bytes = 64 * 2**10
    """And whenever this much of it has come."""
    commit_wait_s: Seconds = 5
    """Longest wait of an answer's last byte for the journal; past it the answer is cut and the row says so."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the process's own log on stderr (JSON lines)."""


class Store(Table):
    """Where completions are filed for queries and exports."""

    url: Annotated[str, Field(pattern=r"^sqlite$")] = "sqlite"
    """`sqlite`: a file in the data folder."""
    ingest_interval_ms: Annotated[int, Field(ge=5, le=10_000)] = 50
    """How often the writer looks for new records when it has none left."""
    batch_rows: Annotated[int, Field(ge=1, le=5_000)] = 500
    """Most completions filed in one transaction."""


class Chains(Table):
    """How calls are stitched into conversations."""

    idle_s: Seconds = 7 * 86400
    """A completion is no longer a candidate for continuation this long after its end."""


class Timeouts(Table):
    """The clocks of one call of a provider."""

    connect_s: Seconds = 5
    """To connect, TLS included."""
    first_byte_s: Seconds = 120
    """From the call's beginning to the first byte of the answer's head."""
    idle_s: Seconds = 120
    """Between two events of a stream (comments do not count), or two pieces of a body."""
    ping_idle_s: Seconds = 300
    """Between two events when the provider sends comments meanwhile."""
    total_s: Seconds = 900
    """The whole call."""


class Provider(Table):
    """A provider, or any server that speaks one of the dialects."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s@]+[^?#\s]*$")]
    """Up to and including the version: `https://api.openai.com/v1`. `{model}` in its path is the call's model."""
    api_key: SecretStr | None = None
    """`env:NAME`, `file:/path`, `client` (the default): the caller's own key is passed on, or `none`: no key is."""
    dialect: Literal["openai", "anthropic", "gemini"] = "openai"
    """The wire it speaks."""
    auth: Literal["bearer", "x-api-key", "api-key", "x-goog-api-key"] | None = None
    """The header that carries the key (`bearer`: Authorization); the dialect's own when not set."""
    query: dict[str, str] = Field(default_factory=dict)
    """Added to each call's query, for instance Azure's `api-version`."""
    transport: Literal["pool", "httpx"] = "pool"
    """`pool`: our HTTP/1.1 pool. `httpx`: httpx's own, which reads the system's proxy settings."""
    http2: bool = False
    """With `transport = "httpx"` only, and with the `h2` package installed."""
    proxy: SecretStr | None = None
    """With `transport = "httpx"` only: the HTTP proxy to go through instead of the system's. May be `env:NAME`."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with each call, for instance an organisation. Values may be `env:NAME` or `file:/path`."""
    ca_file: Path | None = None
    """Certificate authorities to trust instead of the system's."""
    max_connections: Count = 1024
    """Connections at once per worker; one call more waits for `connect_s`, then gets 503."""
    max_concurrency: Count | None = None
    """Calls at once per model and worker; one more goes to the alias's next target, or gets 503."""
    keepalive_s: Seconds = 30
    """An idle connection is closed after this long."""
    max_answer_bytes: Bytes = 256 * 2**20
    """A longer answer is cut, and the row says so."""
    stream_usage: bool = True
    """Ask for usage in streams where the client left it open, and take the extra chunk out again."""
    models: tuple[str, ...] = ()
    """Its models that `GET /v1/models` lists, as `provider/model`."""
    list_models: bool = False
    """List there what the provider lists, too; with callers' own keys only the default provider is asked."""
    timeout: Timeouts = Timeouts()
    """The clocks; an alias or a target may have its own."""


class Retry(Table):
    """When a call that failed before its first byte is tried again: no connection, 408, 429 and 5xx."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """Attempts in all at one target."""
    max_wait_s: Annotated[float, Field(ge=0)] = 20
    """Longest wait before another attempt. A longer Retry-After means the next target, or the client is told."""
    backoff_s: Seconds = 0.5
    """The wait where the provider names none; doubled with each attempt, with jitter."""
    backoff_max_s: Seconds = 8
    """Where the doubling ends."""


class Cooldown(Table):
    """When a failing target is left alone, while there is another. One call then tries it: back, or another rest."""

    after: Count = 5
    """Failures in a row: no connection, a clock that ran out, 408, 429, 5xx."""
    for_s: Seconds = 30
    """How long it rests; a longer Retry-After counts, up to ten times this."""


class Routing(Table):
    """How failed calls are carried on, unless an alias has its own `retry` or `cooldown`."""

    retry: Retry = Retry()
    """When to try again."""
    cooldown: Cooldown = Cooldown()
    """When to leave a target alone."""
    retry_budget: Share = 0.1
    """Most attempts that repeat one at the same target, as a share of a provider's calls; per worker."""
    retry_budget_min: Annotated[int, Field(ge=0)] = 10
    """Repeated attempts beyond that share, at most: what a provider's budget starts with and never exceeds."""


class Fallback(Table):
    """One provider's model, for calls that failed elsewhere. `"provider/model"` says the same."""

    provider: str
    """A table under `[providers]`, or `sim`."""
    model: str
    """The model's name there."""
    max_concurrency: Count | None = None
    """Calls at once per worker, instead of the provider's `max_concurrency`."""
    timeout: Timeouts | None = None
    """Clocks of this target instead of the alias's or the provider's."""
    templates: Path | None = None
    """A file of `tailrace export templates`: chat requests made from one are sent on without its static text."""


class Target(Fallback):
    """One provider's model behind an alias."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of the conversations, relative to the other targets; a conversation stays with its target."""


class Shadow(Table):
    """A target that is sent copies of an alias's calls. Its answers are logged and go to nobody."""

    provider: str
    """A table under `[providers]`, or `sim`."""
    model: str
    """The model's name there."""
    share: Share
    """Share of the calls that are copied, from 0 to 1."""
    templates: Path | None = None
    """A file of `tailrace export templates`: copies of requests made from one go without its static text."""


class Cache(Table):
    """Answers given again to the same caller for the very same request. Lost with the worker, and at a reload."""

    ttl_s: Seconds = 3600
    """An older answer is not given."""
    max_bytes: Bytes = 64 * 2**20
    """Most bytes of answers in memory, per worker; at the limit the longest unused one goes."""
    max_entry_bytes: Bytes = 2**20
    """A larger answer is not kept."""


class ModelAlias(Table):
    """A name a client may ask for."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """Where its calls go."""
    fallback: tuple[Annotated[Fallback, BeforeValidator(parse_fallback)], ...] | None = None
    """Where a call goes next that its target fails, in this order. Not set: to the other targets. `[]`: nowhere."""
    shadow: tuple[Shadow, ...] = ()
    """Where a share of the calls is copied to."""
    timeout: Timeouts | None = None
    """Clocks of this alias instead of the provider's."""
    retry: Retry | None = None
    """Instead of `[routing.retry]`."""
    cooldown: Cooldown | None = None
    """Instead of `[routing.cooldown]`."""
    cache: Cache | None = None
    """Not set: every call goes to a provider."""
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    """When the client leaves: stop the provider's call, or read it to its end (for usage) within `total_s`."""


class Price(Table):
    """What a model costs, instead of genai-prices' word. The key is `model`, or `provider/model` for one provider's."""

    input_usd_per_mtok: Usd
    """A million input tokens."""
    output_usd_per_mtok: Usd
    """A million output tokens, reasoning included."""
    cached_input_usd_per_mtok: Usd | None = None
    """A million input tokens that the provider had cached; the price of input when not set, as for the following."""
    cache_write_usd_per_mtok: Usd | None = None
    """A million input tokens that the provider put into its cache."""
    input_audio_usd_per_mtok: Usd | None = None
    """A million audio tokens of the input."""
    output_audio_usd_per_mtok: Usd | None = None
    """A million audio tokens of the output; the price of output when not set."""


class Simulator(Table):
    """The built-in simulated provider."""

    enabled: bool = True
    """Whether models named `sim/…` are answered."""
    dialogues: Path | None = None
    """A JSONL file of dialogues that `sim/replay` answers from; the packaged STAR subset when not set."""
    gold: tuple[Path, ...] = ()
    """JSONL files of labelled texts that `sim/label…` answers from; without, a text's label is made up."""


class Settings(Table):
    """The whole configuration."""

    server: Server = Server()
    keys: Keys = Keys()
    log: Log = Log()
    store: Store = Store()
    chains: Chains = Chains()
    simulator: Simulator = Simulator()
    default_provider: str = "openai"
    """Where a model goes that is no alias and names no provider."""
    providers: dict[str, Provider] = Field(default_factory=lambda: {"openai": Provider(base_url=OPENAI_URL)})
    """One table each. Without a file: OpenAI, with `OPENAI_API_KEY` or the caller's own key."""
    routing: Routing = Routing()
    models: dict[str, ModelAlias] = Field(default_factory=dict)
    """Aliases."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Overrides, by model."""
    classifiers: dict[str, Classifier] = Field(default_factory=dict)
    """What users' turns are labelled by."""
    webhooks: Webhooks = Webhooks()

    def price_of(self, provider: str, model: str) -> Price | None:
        """The configured price of a provider's model: the provider's own before the model's; None: there is none."""
        return self.prices.get(f"{provider}/{model}") or self.prices.get(model)
