"""The process that labels after the fact, audits, trains students and calls webhooks. It may crash without harm."""
