"""People against the truth, in pairs of records of one person: precision and recall.

Pairs are counted after closure: a cluster of three is three pairs, whether or not a rule joins each of them directly.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from cdp_platform.errors import ConfigError
from cdp_platform.identity.labelled import TruthFile
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Session, Warehouse

_OWN_PART: Final = "case when strpos({key}, '|') > 0 then substr({key}, 1, strpos({key}, '|') - 1) else {key} end"
"""A key may name what the record belongs to before a bar, as a browser with each of its customers: that is labelled."""


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """Pairs of labelled records. Shares are 0 to 1; None where there is nothing to divide by."""

    true_pair_count: int
    found_pair_count: int
    correct_pair_count: int

    @property
    def precision(self) -> float | None:
        """Share of the found pairs that are true."""
        return self.correct_pair_count / self.found_pair_count if self.found_pair_count else None

    @property
    def recall(self) -> float | None:
        """Share of the true pairs that were found."""
        return self.correct_pair_count / self.true_pair_count if self.true_pair_count else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        both = self.found_pair_count + self.true_pair_count
        return 2 * self.correct_pair_count / both if both else None


def score_pairs(session: Session, judged: str) -> PairScore:
    """Count the pairs of `judged` [record] with component, as it was found, and person, as it is true."""
    return PairScore(
        true_pair_count=_pairs(session, judged, "person"),
        found_pair_count=_pairs(session, judged, "component"),
        correct_pair_count=_pairs(session, judged, "person, component"),
    )


def score_people(warehouse: Warehouse, schema: str, truth: TruthFile) -> PairScore:
    """Compare the people in `identity_clusters` of a schema with the truth, over the records that both know.

    Raises ConfigError where the truth names none of them.
    """
    names = Names.of(schema, warehouse.dialect)
    with warehouse.session("identity: people against the truth") as session:
        session.register("truth_rows", pa.table({"record": truth.records, "person": truth.others}))
        session.execute(
            "create or replace temporary table people_judged as select c.person_id as component, t.person"
            f" from {names.clusters} as c join truth_rows as t on t.record = {_OWN_PART.format(key='c.record_key')}"
        )
        [found] = session.rows("select count(*) as records from people_judged")
        if not found["records"]:
            raise ConfigError("no record of the truth is among the records that were resolved.", field="truth")
        return score_pairs(session, "people_judged")


def _pairs(session: Session, judged: str, columns: str) -> int:
    [found] = session.rows(
        "select coalesce(sum(records * (records - 1) / 2), 0) as pairs"
        f" from (select count(*) as records from {judged} group by {columns}) as groups"
    )
    return int(found["pairs"])
