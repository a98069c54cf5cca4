"""What keys may use of a node, counted exactly by all its processes together, without any of them being needed.

slot    one key's counts, as numbers in a row: windows, running calls, budgets. Pure
table   the file in which all slots lie, mapped by every process, each slot with a lock of its own
"""
