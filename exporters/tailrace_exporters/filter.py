"""Which answers may be learned, by how they ended. Pure.

Filtering comes before folding: a conversation then ends with its last good answer, and a bad answer inside it stays as
what the model saw, unlearned.
"""

from tailrace_exporters.recipe import Filter
from tailrace_exporters.rows import Completion

NO_FINISH = "none"


def refuse(completion: Completion, rule: Filter) -> str | None:
    """Why the completion's answer may not be learned, as `status:WORD` or `finish:WORD`; None where it may."""
    if completion.status not in rule.status:
        return f"status:{completion.status}"
    finish = completion.finish_reason or NO_FINISH
    if finish not in rule.finish:
        return f"finish:{finish}"
    return None
