"""Tables in Markdown, as Dagster shows them in an asset's metadata."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay rows out under a head; `none` where there is no row."""
    body = [[str(cell) for cell in row] for row in rows]
    if not body:
        return "none"
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
