"""Asks Amazon's customization SDK for Nova: rows in, its complaint or none out. JSON both ways."""

import json
import sys
from contextlib import redirect_stdout

from amzn_nova_forge.core.enums import Model
from amzn_nova_forge.dataset.dataset_validator.sft_dataset_validator import SFTDatasetValidator


def complaint(rows: list[dict[str, object]]) -> str | None:
    """What the validator has against the rows."""
    try:
        with redirect_stdout(sys.stderr):
            SFTDatasetValidator().validate(iter(rows), Model.NOVA_LITE)
    except ValueError as exc:
        return str(exc)
    return None


def main() -> None:
    """One question, one answer."""
    said = complaint(json.load(sys.stdin)["rows"])
    sys.stdout.write("\n" + json.dumps({"complaint": said}) + "\n")


main()
