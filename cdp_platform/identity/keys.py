"""Records → the values by which they are compared: one statement for the normalised parts, one for the edges.

`work_changed` [record] holds node, record_key, source, seen_at; `work_parts` [record] the normalised parts; and
`work_changed_edges` [record × rule × value] is what the rest of identity works on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cdp_platform.errors import GuardTripped
from cdp_platform.identity.expressions import MOMENT, hashed, positions_to
from cdp_platform.identity.rules import Binding, BoundPart, BoundRule, Way
from cdp_platform.privacy.masking import masked
from cdp_platform.privacy.normalise import LONGEST_WITH_TYPO, SHORTEST_WITH_TYPO
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.literals import literal

Quote = Callable[[str], str]
"""Quotes an identifier of the warehouse."""
_Slot = tuple[tuple[str, ...], tuple[str, ...]]

_SEPARATOR: Final = "\x1f"
_SHORTEST_REPEATED: Final = 5
"""From this length on, a value of one character only (`00000`) is a filler."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The SQL that follows from a binding. `slots` are the columns of `work_parts`."""

    binding: Binding
    slots: Mapping[_Slot, BoundPart]

    @classmethod
    def of(cls, binding: Binding) -> "Keys":
        """Find the distinct parts of all rules; each is normalised once, however many rules use it."""
        parts = (part for bound in binding.bound for way in bound.ways for part in way.parts)
        return cls(binding=binding, slots={_slot(part): part for part in parts})

    def records_sql(self, relation: str, quote: Quote) -> str:
        """Select node, record_key, source, seen_at and the needed columns; nodes are in the order of the keys."""
        source = _text(quote(self.binding.source)) if self.binding.source else "''"
        seen_at = quote(self.binding.seen_at) if self.binding.seen_at else "null"
        cleaned = ", ".join(f"{self._cleaned(name, quote)} as {alias}" for name, alias in self.aliases().items())
        return (
            f"select row_number() over (order by {_text(quote(self.binding.key))}) as node,"
            f" {_text(quote(self.binding.key))} as record_key, {source} as source,"
            f" cast({seen_at} as {MOMENT}) as seen_at, {cleaned}"
            f" from {relation}"
        )

    def parts_sql(self, relation: str) -> str:
        """Select node and the normalised parts from what `records_sql` made; null where there is nothing to compare."""
        aliases = self.aliases()
        level = ", ".join(f"{_joined(part, aliases)} as {slot}" for slot, part in self._columns().items())
        sql = f"select node, {level} from {relation}"
        chains = {
            slot: [step for one in part.part.chain for step in one.steps] for slot, part in self._columns().items()
        }
        for depth in range(max(map(len, chains.values()))):
            stepped = ", ".join(
                f"{steps[depth](slot)} as {slot}" if depth < len(steps) else slot for slot, steps in chains.items()
            )
            sql = f"select node, {stepped} from ({sql}) as step_{depth}"
        blanked = ", ".join(f"nullif({slot}, '') as {slot}" for slot in chains)
        return f"select node, {blanked} from ({sql}) as steps"

    def edges_sql(self) -> str:
        """Select node, rule_no and value_hash, each once, from `work_parts` and the tables of `typos_sql`."""
        branches = []
        for number, bound in enumerate(self.binding.bound):
            ways = [self._way_sql(number, way) for way in bound.ways]
            sql = " union all ".join(ways)
            branches.append(
                f"select distinct node, rule_no, value_hash from ({sql}) as ways" if _repeats(bound) else sql
            )
        return " union all ".join(branches)

    def value_text(self, session: Session, rule_no: int, value_hash: int) -> str:
        """The value behind a hash with each part masked; the hash where no record of this run has it."""
        for way in self.binding.bound[rule_no].ways:
            slots = [self._column(part) for part in way.parts]
            named = ", ".join(f"{slot} as part_{place}" for place, slot in enumerate(slots))
            sql = f"select {named} from ({self._way_sql(rule_no, way, with_parts=True)}) as found"
            if found := session.rows(f"{sql} where value_hash = {value_hash} limit 1"):
                return " | ".join(masked(str(text)) for text in found[0].values())
        return f"{value_hash:x}"

    def _columns(self) -> dict[str, BoundPart]:
        return {f"p{number}": part for number, part in enumerate(self.slots.values())}

    def _column(self, part: BoundPart) -> str:
        return f"p{list(self.slots).index(_slot(part))}"

    def aliases(self) -> dict[str, str]:
        """Columns of the records → their names in `work_changed`."""
        names = dict.fromkeys(name for part in self.slots.values() for name in part.columns)
        return {name: f"c{number}" for number, name in enumerate(names)}

    def _cleaned(self, column: str, quote: Quote) -> str:
        text = _text(quote(column))
        fields = self.binding.rules.fields
        blocked = {
            one for name, columns in self.binding.columns.items() if column in columns for one in fields[name].blocked
        }
        listed = ", ".join(literal(one) for one in sorted(blocked | {""}))
        repeated = f"length({text}) >= {_SHORTEST_REPEATED} and replace({text}, substr({text}, 1, 1), '') = ''"
        return f"case when lower(trim({text})) in ({listed}) or ({repeated}) then null else {text} end"

    def typos_sql(self) -> dict[str, str]:
        """For each part that tolerates a typing error, its table's name and a select of node and key, each once."""
        parts = (part for bound in self.binding.bound for way in bound.ways for part in way.parts)
        slots = dict.fromkeys(self._column(part) for part in parts if part.part.has_many)
        return {_typos(slot): self._keys_sql(slot) for slot in slots}

    def _keys_sql(self, slot: str) -> str:
        position = "q.position"
        # Taking out either of two equal neighbours gives one key; it is made once.
        doubled = f"substr({slot}, {position}, 1) = substr({slot}, {position} - 1, 1)"
        return (
            f"select node, case when {position} = 0 then {slot}"
            f" else concat(substr({slot}, 1, {position} - 1), substr({slot}, {position} + 1)) end as key"
            f" from work_parts cross join (select position from {positions_to(LONGEST_WITH_TYPO)}) as q"
            f" where {position} <= length({slot}) and ({position} = 0 or length({slot}) >= {SHORTEST_WITH_TYPO})"
            f" and ({position} < 2 or not {doubled})"
        )

    def _way_sql(self, rule_no: int, way: Way, *, with_parts: bool = False) -> str:
        slots = [self._column(part) for part in way.parts]
        keys, joins = [], []
        for place, (slot, part) in enumerate(zip(slots, way.parts, strict=True)):
            keys.append(f"q{place}.key" if part.part.has_many else f"p.{slot}")
            if part.part.has_many:
                joins.append(f" join {_typos(slot)} as q{place} on q{place}.node = p.node")
        separator = f", {literal(_SEPARATOR)}, "
        value = hashed(f"concat('{way.combination}'{separator}{separator.join(keys)})")
        extra = f", {', '.join(f'p.{slot}' for slot in dict.fromkeys(slots))}" if with_parts else ""
        return (
            f"select p.node, {rule_no} as rule_no, {value} as value_hash{extra} from work_parts as p{''.join(joins)}"
            f" where {' and '.join(f'p.{slot} is not null' for slot in slots)}"
        )


def stage(session: Session, keys: Keys, relation: str, quote: Quote) -> None:
    """Make `work_changed`, `work_parts` and `work_changed_edges`; for a whole run they are all records and edges.

    Raises GuardTripped where a key is null or stands twice.
    """
    session.execute(f"create or replace temporary table work_changed as {keys.records_sql(relation, quote)}")
    _check_keys(session, keys.binding.key)
    session.execute(f"create or replace temporary table work_parts as {keys.parts_sql('work_changed')}")
    for table, sql in keys.typos_sql().items():
        session.execute(f"create or replace temporary table {table} as {sql}")
    session.execute(f"create or replace temporary table work_changed_edges as {keys.edges_sql()}")


def stage_all(session: Session, keys: Keys, relation: str, quote: Quote) -> None:
    """Stage a whole set of records: `work_records` and `work_edges` are all of it. Raises as `stage` does."""
    stage(session, keys, relation, quote)
    session.execute("create or replace temporary view work_records as select * from work_changed")
    session.execute("create or replace temporary view work_edges as select * from work_changed_edges")


def _check_keys(session: Session, key: str) -> None:
    [counted] = session.rows(
        "select count(*) as records, count(distinct record_key) as keys, count(*) - count(record_key) as blank"
        " from work_changed"
    )
    doubled = counted["records"] - counted["keys"] - counted["blank"]
    if doubled or counted["blank"]:
        raise GuardTripped(
            f"the column {key} does not name each record once: {doubled:,} stand twice,"
            f" {counted['blank']:,} are empty.",
            remedy="Give each record a key of its own before identity is resolved.",
            counts={"doubled": doubled, "blank": counted["blank"]},
        )


def _typos(slot: str) -> str:
    return f"work_typos_{slot}"


def _slot(part: BoundPart) -> _Slot:
    """What is normalised: `one_typo` is applied later, so that a part with and without it share a column."""
    return part.columns, tuple(one.written for one in part.part.chain if not one.has_many)


def _joined(part: BoundPart, aliases: Mapping[str, str]) -> str:
    return " || ' ' || ".join(aliases[name] for name in part.columns)


def _repeats(bound: BoundRule) -> bool:
    """Whether a record may have one value of the rule twice: from two columns of one field."""
    combinations = [way.combination for way in bound.ways]
    return len(set(combinations)) < len(combinations)


def _text(expression: str) -> str:
    return f"cast({expression} as string)"
