"""The `where` language: which completions a command, a recipe or a page means. Owns its text, its meaning and its SQL.

    text ── lexer ──▶ tokens ── parser ──▶ syntax tree ── compiler ──▶ a condition with bound parameters
                                  │             └─ render ──▶ the canonical text (for hashes in manifests)
                       fields (what may be asked), values (how a value is written)

All of it is pure. Parts of a query reach SQL as bound parameters only; names of columns come from `fields.FIELDS`.

A comparison with an unknown value (NULL) is false, and `NOT` of it is true: `served_model != "x"` and
`NOT cost_usd > 1` keep the completions that have no served model, no cost. That is what a person means who filters
something out; SQL's third truth value would drop those rows without a word.

Of feedback and actions a completion may have several: a comparison is true where any of them fits, and `NOT` of it
where none does. Of a classifier's labels it has one that counts (`beside`), or none: then `label.x = y` is false,
`label.x != y` true, and `label.x IS NULL` true.
"""

from tailrace.store.query.beside import Marks
from tailrace.store.query.compiler import compile_where
from tailrace.store.query.parser import parse
from tailrace.store.query.syntax import Expr, fields_of, render

__all__ = ["Expr", "Marks", "compile_where", "fields_of", "parse", "render"]
