"""Read a rule file: YAML → `Rules`, with errors that name file, line and field."""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.identity import rules as written
from cdp_platform.identity.normalisers import NAMES, UnknownNormaliser, parse_normaliser
from cdp_platform.yaml_file import YamlFile

DEFAULT_CAP: Final = 50
_DEFAULT: Final = resources.files("cdp_platform.identity").joinpath("people.yaml")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_texts(value: Any) -> Any:
    return ["null" if one is None else str(one) for one in value] if isinstance(value, list) else value


def _as_field(value: Any) -> Any:
    return {"columns": value} if isinstance(value, str | list) else value


Texts = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecordsEntry(_Entry):
    """The columns that say which record it is."""

    key: Texts = Field(description="The column that names a record; of several names the first that exists.")
    source: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="The column that says where a record comes from."
    )
    seen_at: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="The column that says when a record was last seen."
    )


class FieldEntry(_Entry):
    """A fact about a person, and the columns it may stand in."""

    columns: Texts = Field(description="Names of columns; those that exist are all used.")
    blocked: Annotated[list[str], BeforeValidator(_as_texts)] = Field(
        default=[], description="Values that mean nothing, compared without regard to case and outer space."
    )


class RuleEntry(_Entry):
    """Two records that agree in this are one person."""

    name: str = Field(description="The rule's name in the tables and reports.", pattern=r"^[a-z][a-z0-9_]*$")
    match: dict[str, Texts] = Field(
        default={},
        description="All of these have to agree: field → normaliser, or a list of them in order;"
        " `surname + given_name` takes both together.",
    )
    at_least: int = Field(default=0, ge=0, description="So many of `among` have to agree, whichever.")
    among: dict[str, Texts] = Field(default={}, description="As `match`; `at_least` says how many.")
    instead_of: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="Fields that tell more; the rule is used only where the records have none of them."
    )
    within_one: str | None = Field(
        default=None,
        description="The name of another rule, as customer_number: a value that records of several of its values hold"
        " joins nobody. For what two people may share, as a name.",
    )
    joins: bool = Field(
        default=True, description="False: the rule joins nobody; it only tells people apart, for `within_one`."
    )
    priority: int | None = Field(
        default=None, ge=1, description="1 is the strongest; left out: the rule's place in the file."
    )
    cap: int = Field(
        default=DEFAULT_CAP, ge=2, description="A value that more records hold is shared: it joins nobody."
    )


class RuleDocument(_Entry):
    """The whole file."""

    records: RecordsEntry = Field(description="The columns that say which record it is.")
    fields: dict[str, Annotated[FieldEntry, BeforeValidator(_as_field)]] = Field(
        description="Field → its columns, or columns and blocked values.", min_length=1
    )
    rules: list[RuleEntry] = Field(description="The rules, the strongest first.", min_length=1)
    largest_cluster: int = Field(
        default=100, ge=2, description="A cluster of more records is not believed: it is quarantined, not merged."
    )


class RuleFile(YamlFile):
    """A file of rules."""

    def rules(self, *, is_guessing: bool = False) -> written.Rules:
        """Make the rules; raise ConfigError for the first thing that cannot work."""
        try:
            document = RuleDocument.model_validate(self.content)
        except ValidationError as error:
            raise self.explained(error, RuleDocument) from error
        names = [entry.name for entry in document.rules]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self._wrong(f"the rule `{name}` is written twice.", "rules", number, "name")
        return written.Rules(
            key=tuple(document.records.key),
            source=tuple(document.records.source),
            seen_at=tuple(document.records.seen_at),
            fields={name: _field(name, entry) for name, entry in document.fields.items()},
            rules=tuple(self._rule(number, entry, document) for number, entry in enumerate(document.rules)),
            largest_cluster=document.largest_cluster,
            is_guessing=is_guessing,
            declared_in=f"{self.path}:{self.line_of('rules')}",
        )

    def _rule(self, number: int, entry: RuleEntry, document: RuleDocument) -> written.Rule:
        if not entry.match and not entry.among:
            raise self._wrong("a rule needs `match`, or `at_least` and `among`.", "rules", number)
        if entry.at_least > len(entry.among) or (entry.among and not entry.at_least):
            raise self._wrong(
                f"{entry.at_least} of {len(entry.among)} fields in `among` cannot be asked for.",
                *("rules", number, "at_least"),
                remedy=f"Write a number from 1 to {len(entry.among)}." if entry.among else "Write `among`.",
            )
        rule = written.Rule(
            name=entry.name,
            parts=tuple(self._part((number, "match", key), chain, document) for key, chain in entry.match.items()),
            among=tuple(self._part((number, "among", key), chain, document) for key, chain in entry.among.items()),
            at_least=entry.at_least,
            instead_of=tuple(self._known(name, document, "rules", number, "instead_of") for name in entry.instead_of),
            priority=entry.priority or number + 1,
            cap=entry.cap,
            joins=entry.joins,
            within_one=self._anchor(number, entry, document),
        )
        self._check_width(number, rule)
        return rule

    def _anchor(self, number: int, entry: RuleEntry, document: RuleDocument) -> str | None:
        others = [one.name for one in document.rules if one.name != entry.name and one.within_one is None]
        if entry.within_one is not None and entry.within_one not in others:
            what = f"there is no other rule {entry.within_one!r} that stands by itself."
            raise self._wrong(what, "rules", number, "within_one", remedy=nearest_of(entry.within_one, others))
        return entry.within_one

    def _check_width(self, number: int, rule: written.Rule) -> None:
        """Refuse a rule with too many keys for a record, and one that strangers fulfil."""
        if (count := len(rule.combinations())) > written.MOST_COMBINATIONS:
            what = f"{count} combinations are too many; {written.MOST_COMBINATIONS} is the most."
            remedy = "Compare fewer parts, or write several rules."
            raise self._wrong(what, "rules", number, "at_least", remedy=remedy)
        if not rule.joins:
            return
        for alone in (one[0] for one in rule.combinations() if len(one) == 1):
            if any(normaliser.is_coarse for normaliser in alone.chain):
                raise self._wrong(
                    f"rule `{rule.name}` would merge strangers: {' + '.join(alone.fields)} through"
                    f" {', '.join(one.written for one in alone.chain)} is shared by too many people to stand alone.",
                    "rules",
                    number,
                    "match",
                    remedy="Add a field that tells people apart.",
                )

    def _part(self, place: tuple[int, str, str], chain: list[str], document: RuleDocument) -> written.Part:
        at, key = ("rules", *place), place[-1]
        names = tuple(name.strip() for name in key.split("+"))
        for name in names:
            self._known(name, document, *at)
        try:
            found = tuple(parse_normaliser(one) for one in chain)
        except UnknownNormaliser as error:
            raise self._wrong(error.what, *at, remedy=nearest_of(error.named, NAMES)) from error
        except ConfigError as error:
            raise self._wrong(error.what, *at, remedy=error.remedy) from error
        if any(one.has_many for one in found[:-1]):
            raise self._wrong("one_typo comes last.", *at)
        return written.Part(fields=names, chain=found)

    def _known(self, name: str, document: RuleDocument, *at: str | int) -> str:
        if name not in document.fields:
            raise self._wrong(f"there is no field {name!r}.", *at, remedy=nearest_of(name, document.fields))
        return name

    def _wrong(self, what: str, *at: str | int, remedy: str = "") -> ConfigError:
        field = ".".join(str(step) for step in at)
        return ConfigError(what, place=f"{self.path}:{self.line_of(*at)}", field=field, remedy=remedy)

    @classmethod
    def opened(cls, path: Path) -> Self:
        """Read a file. Raises ConfigError where there is none, or where it is not YAML."""
        try:
            return cls.read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the rule file {path} cannot be read ({type(error).__name__}).") from error


def read_rules(path: Path) -> written.Rules:
    """Read a rule file. Every field that a rule names must then be among the columns of the records."""
    return RuleFile.opened(path).rules()


def default_rules() -> written.Rules:
    """The rules for records of people that come with the platform; they take the fields that are there."""
    with resources.as_file(_DEFAULT) as path:
        return RuleFile.opened(path).rules(is_guessing=True)


def default_rules_text() -> str:
    """The default rules as YAML."""
    return _DEFAULT.read_text(encoding="utf-8")


def _field(name: str, entry: FieldEntry) -> written.Field:
    blocked = frozenset(one.strip().lower() for one in entry.blocked)
    return written.Field(name=name, columns=tuple(entry.columns), blocked=blocked)
