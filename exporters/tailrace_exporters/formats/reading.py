"""Looking into a line that may hold anything. Pure."""

from tailrace.records import Json


def at(value: Json, *path: str | int) -> Json:
    """What stands at `path` in `value`; None where nothing does."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if type(value) is dict else None
        else:
            value = value[step] if type(value) is list and step < len(value) else None
    return value


def items(value: Json) -> list[Json]:
    """The items of a list; none of anything else."""
    return value if type(value) is list else []
