"""How the vendor's search splits text into tokens."""

import re
from fnmatch import fnmatchcase

_BREAK = re.compile(r"[^\w*]+")


def contains_token(text: str | None, pattern: str) -> bool:
    """Say whether every token of the pattern is a token of the text. Case is ignored; `*` stands for any characters."""
    if text is None:
        return False
    tokens = [token for token in _BREAK.split(text.lower()) if token]
    wanted = [token for token in _BREAK.split(pattern.lower()) if token]
    return bool(wanted) and all(any(fnmatchcase(token, part) for token in tokens) for part in wanted)


def like_anywhere(text: str) -> str:
    r"""Return the LIKE pattern (escape `\`) that finds the text anywhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
