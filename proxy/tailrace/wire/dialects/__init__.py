"""The dialects that providers speak. A new one is one module here, one line in `DIALECTS`, and its word in
`settings.Provider.dialect`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tailrace.wire.dialect import Dialect
from tailrace.wire.dialects import openai

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({dialect.name: dialect for dialect in (openai.DIALECT,)})
