"""Secrets and personal values: found, replaced, and searched for in what was written."""

from tailrace_exporters.scrub.stage import Scrub as Scrub
from tailrace_exporters.scrub.stage import scrub as scrub
