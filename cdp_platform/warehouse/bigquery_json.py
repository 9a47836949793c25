"""What BigQuery makes of the platform's documents, as SQL of its own.

Documents are flat and canonical, because `document` makes them. So members are cut out as text, by one regular
expression, and no number passes through a parser that would round it.
"""

import json
from collections.abc import Sequence

from sqlglot import exp

_MEMBER = r'"(?:[^"\\]|\\.)*":(?:"(?:[^"\\]|\\.)*"|[^,}]*)'
_NAME = r'^"(?:[^"\\]|\\.)*":'
_MERGED = """concat('{{', array_to_string(array_concat(
    array(
        select said.member
        from (
            select place, coalesce(
                (select max(fresh) from unnest({new}) as fresh
                    where starts_with(fresh, regexp_extract(former, {name}))),
                former) as member
            from unnest({old}) as former with offset as place
        ) as said
        where not ends_with(said.member, ':null')
        order by said.place
    ),
    array(
        select fresh
        from unnest({new}) as fresh with offset as place
        where not ends_with(fresh, ':null')
            and not exists (
                select 1 from unnest({old}) as former where starts_with(former, regexp_extract(fresh, {name})))
        order by place
    )
), ','), '}}')"""
_CHANGED = """array(
    select listed.name
    from unnest([{names}]) as listed with offset as place
    where exists (
        select 1 from unnest({new}) as said where starts_with(said, listed.head) and said not in unnest({old}))
    order by place
)"""


def document(members: Sequence[tuple[str, str]]) -> str:
    """SQL of the JSON text of names and `written` values, in their order."""
    pairs = [
        f"{_literal((',' if place else '') + _head(name))}, coalesce({value}, 'null')"
        for place, (name, value) in enumerate(members)
    ]
    return f"concat({', '.join([_literal('{'), *pairs, _literal('}')])})"


def written(value: exp.Expr) -> str:
    """SQL of a value as JSON text; whole numbers keep all their digits."""
    sql = value.sql("bigquery")
    # A part of a document is a text of JSON already. Others go through JSON, since a number above 2^53 would be a text.
    return sql if _is_json(value) else f"to_json_string(to_json({sql}))"


def _is_json(value: exp.Expr) -> bool:
    match value:
        case exp.JSONExtract():
            return True
        case exp.Case():
            return any(_is_json(branch.args["true"]) for branch in value.args["ifs"])
    return False


def member_text(of: str, member: str) -> str:
    """SQL of one member of a document as text."""
    path = '$."' + member.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"json_value({of}, {_literal(path)})"


def changed_members(new: str, old: str, members: Sequence[str]) -> str:
    """SQL of the list of those members that `new` names and `old` does not name with the same value."""
    names = ", ".join(f"struct({_literal(name)} as name, {_literal(_head(name))} as head)" for name in members)
    return (
        _CHANGED.format(names=names, new=_members(new), old=_members(old)) if members else "cast([] as array<string>)"
    )


def merged(of: str, patch: str) -> str:
    """SQL of a document with the members of another written over its own; a null takes a member away."""
    return _MERGED.format(old=_members(of), new=_members(patch), name=_literal(_NAME))


def _members(of: str) -> str:
    return f"regexp_extract_all({of}, {_literal(_MEMBER)})"


def _head(name: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:"


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql("bigquery")
