"""Say which valid value is nearest to a wrong one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_of(wrong: object, valid: Iterable[str]) -> str:
    """Make a remedy of the nearest valid value, or of all of them where none is near."""
    names = sorted(valid)
    if near := get_close_matches(str(wrong), names, n=1, cutoff=0.5):
        return f"Did you mean `{near[0]}`?"
    if not names:
        return "There is none to choose from yet."
    return f"Choose from {', '.join(names[:12])}{' …' if len(names) > 12 else ''}."
