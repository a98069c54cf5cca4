"""Which answers may be learned, by how they ended. Pure.

Filtering comes before folding: a conversation then ends with its last good answer, and a bad answer inside it stays as
what the model saw, unlearned.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tailrace.records import CACHE, Endpoint
from tailrace_exporters.recipe_tables import Filter
from tailrace_exporters.rows import Completion, teacher

NO_FINISH = "none"


def refuse(completion: Completion, rule: Filter, students: Sequence[str] = ()) -> str | None:
    """Why the completion's answer may not be learned, as `status:WORD` and the like; None where it may.

    `students`: shell patterns over `provider/model` whose answers may not.
    """
    if completion.endpoint != Endpoint.CHAT:
        return f"endpoint:{completion.endpoint}"
    if completion.omits is not None:
        return "omitted"  # by the client's wish its bodies were not logged
    if completion.provider == CACHE:
        return "cached"  # the answer it gave again is a completion of its own
    if students and any(fnmatchcase(teacher(completion), pattern) for pattern in students):
        return "student"
    if completion.status not in rule.status:
        return f"status:{completion.status}"
    finish = completion.finish_reason or NO_FINISH
    if finish not in rule.finish:
        return f"finish:{finish}"
    return None
