"""What runs a pipeline: an engine reads the log and hands completions and exchanges to `pipeline.Pipeline`."""
