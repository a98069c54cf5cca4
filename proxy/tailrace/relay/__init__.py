"""The process clients talk to: it runs one completion at a time, many at once, and files nothing."""
