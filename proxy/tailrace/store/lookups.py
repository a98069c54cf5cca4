"""Conditions that only an index makes cheap, written as the index wants them."""

from typing import Final

from sqlalchemy import ColumnElement, and_, func, literal_column

from tailrace.store.tables import TABLES

_ANSWER_ID: Final = TABLES["completion"].c.answer_id
_LAST: Final[ColumnElement[int]] = literal_column("-8")
"""No parameter: an expression is found in an index only where it stands there word for word."""


def answer_is(id_: ColumnElement[str]) -> ColumnElement[bool]:
    """The answer's id is `id_`; by the index `completion_answer_id` on its last characters.

    The whole id is compared as an expression: where a column equals a constant, SQLite puts the constant in its place
    everywhere, in the last characters too, and then finds no index for these.
    """
    return and_(
        _ANSWER_ID.is_not(None),
        func.substr(_ANSWER_ID, _LAST) == func.substr(id_, _LAST),
        _ANSWER_ID.concat("") == id_,
    )
