"""The commands of `tailrace`: one module a group, mounted by `cli.py`; each a thin shell over what it shows or does."""
