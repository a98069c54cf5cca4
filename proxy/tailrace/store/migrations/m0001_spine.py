"""Migration 1: the spine. Frozen: what these tables become later is a later migration's doing."""

from typing import Final

SQLITE: Final = (
    """
    CREATE TABLE attempt (
        completion INTEGER NOT NULL,
        n INTEGER NOT NULL,
        started_us BIGINT NOT NULL,
        provider VARCHAR NOT NULL,
        model VARCHAR NOT NULL,
        outcome VARCHAR NOT NULL,
        http_status INTEGER,
        error VARCHAR,
        duration_us BIGINT,
        PRIMARY KEY (completion, n)) WITHOUT ROWID""",
    """
    CREATE TABLE chain (
        id INTEGER NOT NULL,
        "key" BLOB NOT NULL,
        project VARCHAR NOT NULL,
        started_us BIGINT NOT NULL,
        last_us BIGINT NOT NULL,
        completions INTEGER NOT NULL,
        steps INTEGER NOT NULL,
        PRIMARY KEY (id),
        UNIQUE ("key")
    )""",
    """
    CREATE TABLE choice (
        completion INTEGER NOT NULL,
        "index" INTEGER NOT NULL,
        node INTEGER NOT NULL,
        finish_reason VARCHAR,
        link_answer BLOB,
        PRIMARY KEY (completion, "index")) WITHOUT ROWID""",
    "CREATE INDEX choice_link ON choice (link_answer)",
    """
    CREATE TABLE completion (
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        started_us BIGINT NOT NULL,
        duration_us BIGINT,
        first_byte_us BIGINT,
        overhead_us BIGINT,
        project VARCHAR NOT NULL,
        "key" VARCHAR,
        endpoint VARCHAR NOT NULL,
        origin VARCHAR NOT NULL,
        provider VARCHAR NOT NULL,
        model VARCHAR NOT NULL,
        served_model VARCHAR,
        status VARCHAR NOT NULL,
        error VARCHAR,
        http_status INTEGER,
        finish_reason VARCHAR,
        stream BOOLEAN NOT NULL,
        attempts INTEGER NOT NULL,
        step INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        parent INTEGER,
        relation VARCHAR NOT NULL,
        link_kind VARCHAR,
        children INTEGER NOT NULL,
        link_answer BLOB,
        link_parent BLOB,
        link_pair BLOB,
        params INTEGER NOT NULL,
        context INTEGER,
        prompt_node INTEGER NOT NULL,
        answer_node INTEGER,
        answer_shape INTEGER,
        answer_values BLOB,
        answer_id VARCHAR,
        request_id VARCHAR,
        input_tokens BIGINT,
        output_tokens BIGINT,
        cached_tokens BIGINT,
        reasoning_tokens BIGINT,
        audio_tokens BIGINT,
        usage_source VARCHAR NOT NULL,
        cost_usd FLOAT,
        session VARCHAR,
        user VARCHAR,
        tags VARCHAR,
        config VARCHAR,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
    "CREATE INDEX completion_awaited ON completion (link_parent) WHERE link_parent IS NOT NULL",
    "CREATE INDEX completion_chain ON completion (chain)",
    "CREATE INDEX completion_link_answer ON completion (link_answer, children) WHERE link_answer IS NOT NULL",
    "CREATE INDEX completion_link_pair ON completion (link_pair) WHERE link_pair IS NOT NULL",
    "CREATE INDEX completion_session ON completion (session) WHERE session IS NOT NULL",
    'CREATE INDEX completion_user ON completion (user) WHERE "user" IS NOT NULL',
    """
    CREATE TABLE dead_letter (
        id INTEGER NOT NULL,
        at_us BIGINT NOT NULL,
        completion BLOB,
        source VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        raw BLOB NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE TABLE gap (
        id INTEGER NOT NULL,
        at_us BIGINT NOT NULL,
        owner VARCHAR NOT NULL,
        calls INTEGER NOT NULL,
        reason VARCHAR NOT NULL,
        PRIMARY KEY (id)
    )""",
    """
    CREATE TABLE message (
        id INTEGER NOT NULL,
        hash BLOB NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (hash)
    )""",
    """
    CREATE TABLE node (
        id INTEGER NOT NULL,
        parent INTEGER NOT NULL,
        message INTEGER NOT NULL,
        PRIMARY KEY (id)
    )""",
    "CREATE UNIQUE INDEX node_path ON node (parent, message)",
    """
    CREATE TABLE raw (
        completion INTEGER NOT NULL,
        side VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (completion, side)) WITHOUT ROWID""",
    """
    CREATE TABLE shape (
        id INTEGER NOT NULL,
        hash BLOB NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (hash)
    )""",
)
