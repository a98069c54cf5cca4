"""OpenAI's dialect, and that of the many servers which speak it."""

from typing import Final

from tailrace.wire.dialect import Dialect
from tailrace.wire.endpoints import ENDPOINTS

DIALECT: Final = Dialect(
    name="openai",
    native={endpoint: wire.path for endpoint, wire in ENDPOINTS.items()},
    translations={},
    credential=lambda key: (b"authorization", b"Bearer " + key),
)
