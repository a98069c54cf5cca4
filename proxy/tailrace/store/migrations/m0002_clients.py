"""Migration 2: what more endpoints, dialects and clients bring: token kinds, the caller's own id, copies, feedback.

`answer_id` is looked up by its last characters, which differ where whole ids begin alike: the index then takes 12 bytes
a completion instead of 40.
"""

from typing import Final

SQLITE: Final = (
    "ALTER TABLE completion ADD COLUMN cache_write_tokens BIGINT",
    "ALTER TABLE completion ADD COLUMN output_audio_tokens BIGINT",
    "ALTER TABLE completion ADD COLUMN dialect VARCHAR",
    "ALTER TABLE completion ADD COLUMN source BLOB",
    "ALTER TABLE completion ADD COLUMN external_id VARCHAR",
    "ALTER TABLE completion ADD COLUMN trace VARCHAR",
    "ALTER TABLE completion ADD COLUMN omits VARCHAR",
    "ALTER TABLE attempt ADD COLUMN detail VARCHAR",
    """CREATE INDEX completion_answer_id ON completion (substr(answer_id, -8)) WHERE answer_id IS NOT NULL""",
    "CREATE INDEX completion_external_id ON completion (external_id) WHERE external_id IS NOT NULL",
    "CREATE INDEX completion_source ON completion (source) WHERE source IS NOT NULL",
    """
    CREATE TABLE feedback (
        seq INTEGER NOT NULL,
        id VARCHAR NOT NULL,
        at_us BIGINT NOT NULL,
        project VARCHAR NOT NULL,
        "key" VARCHAR,
        target VARCHAR NOT NULL,
        completion INTEGER,
        source VARCHAR NOT NULL,
        score FLOAT,
        thumb VARCHAR,
        text VARCHAR,
        correction BLOB,
        tags VARCHAR,
        PRIMARY KEY (seq),
        UNIQUE (id)
    )""",
    "CREATE INDEX feedback_completion ON feedback (completion) WHERE completion IS NOT NULL",
    "CREATE INDEX feedback_waiting ON feedback (target) WHERE completion IS NULL",
)
