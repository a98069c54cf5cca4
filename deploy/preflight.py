"""Says in one line, with the name of the package, what `make setup` would otherwise fail on.

Runs under whatever `python3` the system has: standard library only, and syntax that old versions parse.
"""

import importlib.util
import sys

MINIMUM = (3, 11)


def is_there(name: str) -> bool:
    """Whether the module can be imported; an empty folder of its name, which a removed package may leave, is none."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def missing() -> str:
    """The complaint, or an empty string when a virtual environment can be made."""
    if sys.version_info[:2] < MINIMUM:
        found = ".".join(str(part) for part in sys.version_info[:3])
        return (
            "Tailrace needs Python 3.11 or newer; this is " + found + ". "
            "Install one (Debian and Ubuntu: apt install python3.11 python3.11-venv) and run make again"
        )
    absent = [name for name in ("venv", "ensurepip") if not is_there(name)]
    if absent:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        return (
            "Python's module " + " and ".join(absent) + " is missing here. "
            "Install it (Debian and Ubuntu: apt install " + package + ", or python3-venv) and run make again"
        )
    return ""


if __name__ == "__main__":
    complaint = missing()
    if complaint:
        sys.stderr.write(complaint + "\n")
        sys.exit(2)
