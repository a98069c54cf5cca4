"""Labels: what the user's turn says, from rules, a cache, a student and a model. Nothing here knows a process."""
