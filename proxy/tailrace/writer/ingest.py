"""Files what the journal gives back: one transaction a batch, each completion once, nothing lost for a neighbour's sake.

    prepare each (pure) ─▶ skip what is filed ─▶ place parts ─▶ link ─▶ insert ─▶ adopt ─▶ COMMIT ─▶ remember

- A record that cannot be prepared, or that the store refuses, goes to `dead_letter` with its bytes; a refused batch is
  halved until the one is found.
- While the store is locked, full or out of reach the batch is tried again, for as long as it takes: the journal holds it.
- A COMMIT whose outcome is unknown is a batch tried again: what is filed already is known by its id.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import structlog
from sqlalchemy import BindParameter, bindparam, case, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from tailrace.records import Closed, Gap, Poison
from tailrace.store import tables
from tailrace.store.codec import Codec
from tailrace.store.engine import is_passing
from tailrace.writer import asking
from tailrace.writer.adopt import adopt
from tailrace.writer.asking import Row, chunks, insert_rows
from tailrace.writer.candidates import Question
from tailrace.writer.catalog import Catalog, read_last
from tailrace.writer.identities import Identities, Placed
from tailrace.writer.link import Linked, Linker, Numbered
from tailrace.writer.prepare import prepare
from tailrace.writer.prepared import Prepared
from tailrace.writer.rows import attempt_rows, choice_rows, completion_row, raw_rows
