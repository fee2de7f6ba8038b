"""Any exception → one line that says what to do."""

from __future__ import annotations

import errno

DISK_FULL = "the disk is full; free some space and run the same command again: what was finished is kept"


def in_one_line(error: Exception) -> str:
    """The message of an error of ours or of the machine; for anything else how to see more."""
    if is_disk_full(error):
        return DISK_FULL
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__module__.split(".")[0] == "zhiliu":
        return text
    if isinstance(error, ModuleNotFoundError):
        return f"{text}; install the extra that brings it (see README, Install)"
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or text}".removeprefix(": ")
    return f"unexpected {type(error).__name__}: {text[:300]} (run again with --debug to see where)"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the cause, however wrapped, is a full disk (or a quota, or a limit on file size)."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        text = str(error).lower()
        if "disk is full" in text or "no space left" in text or "could not extend file" in text:
            return True
        error = error.__cause__ or error.__context__
    return False
