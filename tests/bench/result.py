"""One measured number."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """A number, what stands beside it in the same run, and what DESIGN 6 asks for."""

    what: str
    value: float
    unit: str
    beside: float | None = None  # the same of nginx, or of a call without the proxy
    beside_what: str = ""
    hold: str = ""

    @property
    def ratio(self) -> float | None:
        """`value` over `beside`."""
        return self.value / self.beside if self.beside else None

    def cells(self) -> tuple[str, str, str, str, str]:
        """For the table."""
        beside = f"{self.beside:,.4g} {self.unit} ({self.beside_what})" if self.beside is not None else ""
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else ""
        return self.what, f"{self.value:,.4g} {self.unit}", beside, ratio, self.hold

    def as_json(self) -> dict[str, Any]:
        """For `bench.json`."""
        return asdict(self) | {"ratio": self.ratio}
