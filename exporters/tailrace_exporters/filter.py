"""Which answers may be learned, by how they ended. Pure.

Filtering comes before folding: a conversation then ends with its last good answer, and a bad answer inside it stays as
what the model saw, unlearned.
"""

from tailrace.records import CACHE, Endpoint
from tailrace_exporters.recipe_tables import Filter
from tailrace_exporters.rows import Completion

NO_FINISH = "none"


def refuse(completion: Completion, rule: Filter) -> str | None:
    """Why the completion's answer may not be learned, as `status:WORD` and the like; None where it may."""
    if completion.endpoint != Endpoint.CHAT:
        return f"endpoint:{completion.endpoint}"
    if completion.omits is not None:
        return "omitted"  # by the client's wish its bodies were not logged
    if completion.provider == CACHE:
        return "cached"  # the answer it gave again is a completion of its own
    if completion.status not in rule.status:
        return f"status:{completion.status}"
    finish = completion.finish_reason or NO_FINISH
    if finish not in rule.finish:
        return f"finish:{finish}"
    return None
