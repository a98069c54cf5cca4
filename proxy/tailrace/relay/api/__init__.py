"""The routes of the relay: HTTP in, one call of the relay out. No route holds logic of its own."""
