"""Which targets are sent a copy of a call. Pure: the dice are the completion's id."""

from hashlib import blake2b

from tailrace.relay.routing import Plan, Route


def shadows(plan: Plan, dice: bytes) -> tuple[Route, ...]:
    """The targets that get a copy; each draws by itself. None where it is the very target that is to answer."""
    return tuple(
        copied.route
        for copied in plan.shadows
        if not _is_first(plan, copied.route) and _drawn(copied.route, dice) < copied.share
    )


def _is_first(plan: Plan, route: Route) -> bool:
    first = plan.targets[0]
    return (route.provider, route.model) == (first.provider, first.model)


def _drawn(route: Route, dice: bytes) -> float:
    """A number from 0 to 1, 1 excluded."""
    name = f"{route.provider}/{route.model}\0".encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(name + dice, digest_size=8).digest(), "big") >> 11) / 2**53
