"""Migration 3: what the classifier stage writes down: labels, actions, versions of classifiers, students.

Every index ends in the row's number, as all of SQLite's do: the newest label that counts is the last entry of its
completion, classifier and rank.
"""

from typing import Final

SQLITE: Final = (
    """
    CREATE TABLE label (
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        at_us BIGINT NOT NULL,
        completion BLOB NOT NULL,
        classifier VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        source VARCHAR NOT NULL,
        mode VARCHAR NOT NULL,
        rank INTEGER NOT NULL,
        text VARCHAR,
        value BLOB,
        confidence FLOAT,
        latency_us BIGINT,
        error VARCHAR,
        note VARCHAR,
        who VARCHAR,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
    "CREATE INDEX label_completion ON label (completion, classifier, rank)",
    "CREATE INDEX label_classifier ON label (classifier, mode)",
    "CREATE INDEX label_human ON label (classifier) WHERE source = 'human'",
    """
    CREATE TABLE action (
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        at_us BIGINT NOT NULL,
        completion BLOB NOT NULL,
        classifier VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        label VARCHAR NOT NULL,
        "do" VARCHAR NOT NULL,
        "key" VARCHAR NOT NULL,
        outcome VARCHAR NOT NULL,
        target VARCHAR,
        dry_run BOOLEAN NOT NULL,
        attempts INTEGER NOT NULL,
        error VARCHAR,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
    'CREATE INDEX action_completion ON action (completion, "key")',
    """CREATE INDEX action_open ON action (at_us) WHERE "do" = 'webhook' AND outcome IN ('planned', 'retried')""",
    """
    CREATE TABLE classifier_version (
        name VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        first_us BIGINT NOT NULL,
        definition BLOB,
        PRIMARY KEY (name, version)) WITHOUT ROWID""",
    """
    CREATE TABLE student (
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        at_us BIGINT NOT NULL,
        classifier VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        number INTEGER NOT NULL,
        state VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        threshold FLOAT,
        coverage FLOAT,
        counts VARCHAR,
        file VARCHAR,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
    "CREATE INDEX student_classifier ON student (classifier)",
)
