"""From the log to a file that a trainer loads as it is. Reads the store, never writes it; `tailrace` never imports it.

recipe   TOML → Recipe                        rows      the values that pass between the stages
select ▸ filter ▸ assemble ▸ dedupe ▸ split   pure: rows and groups in, rows and reasons out
formats  one file a target                    pipeline  composes the stages, counts what goes in and out of each
engines  run a pipeline over a store          files     where lines go: to disk, to a comparison, nowhere
manifest what was made, from what             verify    makes it again and compares
library  the same for a notebook: `rows`, `iter_rows`
"""

from tailrace_exporters.library import iter_rows, rows

__all__ = ["iter_rows", "rows"]
