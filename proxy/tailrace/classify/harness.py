"""What the program around the user puts into the user's message, and which is not the user's words. Pure.

Coding agents and chat front ends wrap what they add into tags: reminders, the editor's state, what tools put out. Some
wrap the user's own words (`<user_query>`): there the tags go and the words stay. It takes time linear in the text,
since the text is the caller's. Whoever types such a tag hides what is inside from the label, and from nothing else.
"""

import re
from typing import Final

_ADDED: Final = (
    # Claude Code and its editor extensions
    "system-reminder", "ide_selection", "ide_opened_file", "ide_diagnostics", "command-name", "command-message",
    "command-args", "command-contents", "local-command-stdout", "local-command-stderr", "local-command-caveat",
    "bash-input", "bash-stdout", "bash-stderr", "task-notification", "new-diagnostics",
    # Codex
    "environment_context", "user_instructions", "INSTRUCTIONS", "permissions", "turn_aborted", "user_shell_command",
    # Cline, Roo
    "environment_details", "file_content", "folder_content", "url_content", "workspace_diagnostics", "terminal_output",
    "working_changes", "git_commit", "explicit_instructions", "notice",
    # Cursor
    "additional_data", "attached_files", "open_and_recently_viewed_files", "current_file", "linter_errors",
    "project_layout", "git_status", "cursor_rules_context", "custom_instructions", "user_info", "rules",
    "manually_added_selection", "edit_history", "system_reminder",
    # Copilot, Continue, Open WebUI and others that retrieve
    "attachments", "attachment", "editorContext", "environment_info", "workspace_info", "reminderInstructions",
    "reminder", "toolReferences", "context", "documents", "document_content", "retrieved_context", "search_results",
    # what tools put out, where it stands in a user's message
    "tool_result", "tool_results", "tool_response", "tool_output", "tool_use_error", "function_results",
    "function_result", "function_response", "tool_call", "function_calls", "think", "thinking",
)  # fmt: skip
_OWN: Final = ("user_query", "userRequest", "user_message", "user-message", "task", "feedback", "answer", "prompt")

_ADDED_NAMES: Final = frozenset(name.lower() for name in _ADDED)
_OWN_NAMES: Final = frozenset(name.lower() for name in _OWN)
_TAG: Final = re.compile(r"<(/?)([A-Za-z][\w-]{1,40})(?:\s[^<>]{0,300})?>")
_AGENTS: Final = re.compile(r"^# AGENTS\.md instructions for [^\n]{0,500}$", re.MULTILINE)
_INTERRUPTED: Final = re.compile(r"^\[Request interrupted by user[^\]\n]{0,40}\]$", re.MULTILINE)
_GAPS: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


def without_harness(text: str, *, begins_amid: bool = False) -> str:
    """`text` without what was put into it; `begins_amid`: its beginning was cut off, perhaps inside a block."""
    if "<" in text:
        text = _without_blocks(text, begins_amid=begins_amid)
    if text.startswith("#") or "\n#" in text:
        text = _AGENTS.sub("", text)
    if "[Request interrupted" in text:
        text = _INTERRUPTED.sub("", text)
    return _GAPS.sub("\n\n", text).strip()


def _without_blocks(text: str, *, begins_amid: bool) -> str:
    tags = [
        (match.start(), match.end(), name, bool(match[1]))
        for match in _TAG.finditer(text)
        if (name := match[2].lower()) in _ADDED_NAMES or name in _OWN_NAMES
    ]
    last_end = {name: start for start, _, name, is_end in tags if is_end}
    kept: list[str] = []
    at = 0
    inside = ""
    for start, end, name, is_end in tags:
        if inside:
            if is_end and name == inside:
                inside, at = "", end
        elif name in _OWN_NAMES:
            if name in last_end:  # a lone `<task>` is something that somebody wrote
                kept.append(text[at:start])
                at = end
        elif not is_end and last_end.get(name, -1) > start:
            kept.append(text[at:start])
            inside = name
        elif is_end and begins_amid and not kept and not at:
            at = end
    return "".join((*kept, text[at:]))


assert not _ADDED_NAMES & _OWN_NAMES, "a tag is either the harness's or around the user's own words"
