"""Migration 4: keys, and the audit of what administrators do."""

from typing import Final

SQLITE: Final = (
    """
    CREATE TABLE api_key (
        id VARCHAR NOT NULL,
        hash BLOB NOT NULL,
        changed_us BIGINT NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (hash)
    )""",
    """
    CREATE TABLE audit (
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        at_us BIGINT NOT NULL,
        who VARCHAR NOT NULL,
        what VARCHAR NOT NULL,
        about VARCHAR NOT NULL,
        details BLOB NOT NULL,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
)
