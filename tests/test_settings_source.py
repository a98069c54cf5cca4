"""Where a key of a TOML text stands."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from tailrace.settings_source import KeyPath, locate

TEXT = '''\
# a comment
top = 1
[a]  # another
b.c = {d = [1, {e = 2}]}
text = """
[not.a.table]
x = 1
"""
[a."x.y"]
z = [
  1,
  2,
]
[[list]]
k = 1
[[list]]
k = 2
[list.sub]
m = 3
'''


def test_each_key_has_the_line_on_which_its_statement_begins() -> None:
    lines = dict(locate(TEXT))
    expected: dict[KeyPath, int] = {
        ("top",): 2,
        ("a",): 3,
        ("a", "b", "c", "d", 1, "e"): 4,
        ("a", "text"): 5,
        ("a", "x.y"): 9,
        ("a", "x.y", "z"): 10,
        ("a", "x.y", "z", 1): 10,
        ("list", 0): 14,
        ("list", 0, "k"): 15,
        ("list", 1, "k"): 17,
        ("list", 1, "sub", "m"): 19,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert ("a", "not") not in lines


NAMES = st.text("ab-_", min_size=1, max_size=3)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(), max_size=3), max_size=4))
def test_every_key_of_a_text_is_found_on_its_line(tables: dict[str, dict[str, int]]) -> None:
    text = "".join(
        f"[{table}]\n" + "".join(f"{key} = {n}\n" for key, n in keys.items()) for table, keys in tables.items()
    )
    lines = text.splitlines()
    found = dict(locate(text))
    for table, keys in tomllib.loads(text).items():
        for key, number in keys.items():
            assert lines[found[(table, key)] - 1] == f"{key} = {number}"
