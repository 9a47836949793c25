"""Permission in SQL: what was said of an identifier, what of it counts, and what a market's rule makes of that.

Plans, sends and audiences all ask this one reading. Permission belongs to the identifier that is used as the address,
never to the person: so no merge of people can widen who may be reached. The SQL is what DuckDB, Snowflake and BigQuery
have in common.
"""

from cdp_platform.domain.permission import ConsentRule

COLUMNS = ("identifier", "entity", "channel", "purpose", "status")
"""What the table of consents must have."""
SUPPRESSION_COLUMNS = ("identifier", "entity", "channel")
"""What the table of suppressions must have; an `entity` of null means every one."""


def normalised(identifier: str) -> str:
    """SQL of an identifier as it is compared: in lower case, without blanks around it; null where nothing is left."""
    return f"nullif(lower(trim({identifier})), '')"


def statements(consents: str, suppressions: str | None, *, identifier: str = '"identifier"') -> str:
    """SQL of everything that was said: identifier (normalised), entity, channel, purpose, status; all text.

    Of a suppression the purpose is null, which means every one, and the entity may be. `consents` and `suppressions`
    are relations in SQL; `identifier` is their column, as text.
    """
    said = f'select {normalised(identifier)} as "identifier", "entity", "channel"'
    answers = f'{said}, "purpose", "status" from {consents}'
    if suppressions is None:
        return answers
    return f"{answers} union all {said}, cast(null as varchar), 'suppressed' from {suppressions}"


def concerns(channel: str, purpose: str) -> str:
    """SQL of whether a row of `said`, the alias of the statements, speaks of a channel and purpose, both SQL."""
    return f'said."channel" = {channel} and (said."purpose" = {purpose} or said."purpose" is null)'


def standing(entity: str) -> str:
    """SQL of what a row of `said` weighs for an entity, which is SQL: the heaviest statement counts."""
    own = f'said."entity" = {entity}'
    return (
        f'case when said."status" = \'suppressed\' and (said."entity" is null or {own}) then 6'
        f" when said.\"status\" = 'withdrawn' and {own} then 5"
        f" when said.\"status\" = 'confirmed' and {own} then 4"
        f" when said.\"status\" = 'granted' and {own} then 3"
        " when said.\"status\" in ('granted', 'confirmed') then 2 else 0 end"
    )


def permission(heaviest: str, *, is_known: str, is_opt_out: str, is_double_opt_in: str) -> str:
    """SQL of the permission, by the heaviest `standing` of an identifier (null: nothing was said); never null.

    `is_known` says whether there is an identifier at all; the other two say which rule holds.
    """
    return (
        f"case when {heaviest} = 6 then 'suppressed' when {heaviest} = 5 then 'withdrawn'"
        f" when {heaviest} = 4 then 'granted' when {is_opt_out} and {is_known} then 'granted'"
        f" when {heaviest} = 3 and {is_double_opt_in} then 'not_confirmed' when {heaviest} = 3 then 'granted'"
        f" when {heaviest} = 2 then 'other_brand' else 'never_asked' end"
    )


def permission_under(heaviest: str, rule: ConsentRule, *, is_known: str) -> str:
    """SQL of the permission under one and the same rule for everybody."""
    return permission(
        heaviest,
        is_known=is_known,
        is_opt_out=_truth(rule is ConsentRule.OPT_OUT),
        is_double_opt_in=_truth(rule is ConsentRule.DOUBLE_OPT_IN),
    )


def _truth(value: bool) -> str:
    return "true" if value else "false"
