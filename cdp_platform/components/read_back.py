"""What `read_back` may say in a sync: where what the destination was seen to hold stands, for the fields' policies."""

from collections.abc import Mapping, Sequence

import dagster as dg
from pydantic import Field

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.syncs import FieldMapping, FieldPolicy, ReadBack
from cdp_platform.errors import ConfigError

_SOURCES = ("feedback", "raw")


class ReadBackRule(dg.Model, dg.Resolvable):
    """The table that tells what the destination holds, a row a record and reading."""

    asset: str | None = Field(
        default=None, description="feedback/<connection>/<object> or raw/<source>/<table>; or else `source_model`."
    )
    source_model: str | None = Field(default=None, description="A dbt model that tells it.")
    key: str = Field(description="The column with the records' match values.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Field → the column that shows it; left out: a column of the field's name."
    )
    read_at: str = Field(default="read_at", description="The column with the time of the reading.")
    max_age_hours: int = Field(default=36, gt=0, description="Older than this, the plan is stopped.")

    def as_read_back(self, relations: Mapping[str, str]) -> ReadBack:
        """The same as the engine knows it. Raises ConfigError for an asset or a model that cannot be."""
        return ReadBack(
            relation=self._relation(relations),
            key=self.key,
            columns=self.columns,
            read_at=self.read_at,
            max_age_hours=self.max_age_hours,
        )

    def upstream(self, models: Mapping[str, dg.AssetKey]) -> dg.AssetKey:
        """The asset that a plan reads: the history, since a plan cannot hang below what its own sync brings about."""
        if self.source_model is not None:
            return models[self.source_model]
        parts = (self.asset or "").split("/")
        return dg.AssetKey([*parts[:-1], f"{parts[-1]}_history"] if parts[0] == "feedback" else parts)

    def _relation(self, relations: Mapping[str, str]) -> str:
        if (self.asset is None) == (self.source_model is None):
            raise _wrong("a read-back has either `asset` or `source_model`.", "Write one of them.")
        if self.source_model is not None:
            if self.source_model not in relations:
                raise _wrong(f"there is no model {self.source_model!r}.", nearest_of(self.source_model, relations))
            return relations[self.source_model]
        parts = (self.asset or "").split("/")
        if len(parts) != 3 or parts[0] not in _SOURCES or not all(parts):
            raise _wrong(
                f"{self.asset!r} is no asset that a read-back can be.",
                "Write feedback/<connection>/<object> or raw/<source>/<table>.",
            )
        return f"raw_{parts[1]}.{parts[2]}"


def check_policies(mapping: Sequence[FieldMapping], read_back: ReadBackRule | None) -> None:
    """Raise ConfigError for policies without a read-back, a read-back without policies, and fields that need none."""
    policied = [entry for entry in mapping if entry.policy is not FieldPolicy.OVERWRITE]
    if policied and read_back is None:
        raise _wrong(
            f"the policy of {policied[0].field!r} needs to know what the destination holds.",
            "Add `read_back: {asset: feedback/<connection>/<object>, key: <column>}`.",
        )
    if read_back is not None and not policied:
        raise _wrong("no field has a policy that reads it.", "Remove `read_back`, or give fields a `policy`.")
    for entry in policied:
        if entry.match_key or entry.after_withdrawal:
            what = "the match key" if entry.match_key else "written after a withdrawal"
            raise ConfigError(
                f"the field {entry.field!r} is {what}: it is always written.",
                remedy="Leave its `policy` out.",
                field="mapping",
            )


def _wrong(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, remedy=remedy, field="read_back")
