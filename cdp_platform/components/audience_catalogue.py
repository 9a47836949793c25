"""The catalogue of traits and events, from what the models of a dbt project say of themselves under `meta.audiences`.

    {people: <person key>, entity: <column>, channels: {email: <column>}}     the people, one row each; traits too
    {traits: <person key>, personal: false}                                   one row per person
    {event: <name>, person: <column>, day: <column>, moment: <column>, only: <boolean column>, label: {en: …}}
    {consents: identifier}                                                    the present answers
    {suppressions: identifier}                                                who must never be contacted

A column is offered where it says its `data_type`; its `meta` may hold a `label` by language, and `personal`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from cdp_platform.audiences.catalogue import Catalogue, Event, EventField, Kind, People, Relation, Trait
from cdp_platform.components.dbt_manifest import DbtManifest, Node, key_of
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.privacy.permission import COLUMNS, SUPPRESSION_COLUMNS

_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("text", "varchar", "string", "char"), Kind.TEXT),
    **dict.fromkeys(
        ("integer", "int", "bigint", "smallint", "int64", "decimal", "numeric", "number", "double", "float", "float64"),
        Kind.NUMBER,
    ),
    **dict.fromkeys(("boolean", "bool"), Kind.BOOLEAN),
    "date": Kind.DATE,
}


class _Meta(BaseModel):
    """What a model says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: str | None = None
    traits: str | None = None
    event: str | None = None
    consents: str | None = None
    suppressions: str | None = None
    person: str | None = None
    day: str | None = None
    moment: str | None = None
    only: str | None = None
    entity: str | None = None
    channels: dict[str, str] = {}
    label: dict[str, str] = {}
    personal: bool = True


@lru_cache(maxsize=2)
def read_catalogue(manifest: DbtManifest) -> Catalogue:
    """Read the catalogue; raises ConfigError, naming the model's file, where it says what cannot be.

    A column name that two relations have must be qualified, as `traits_rfm.first_order_on`.
    """
    said = [(node, _meta_of(node)) for node in manifest.models.values() if _said(node)]
    homes = [(node, meta) for node, meta in said if meta.people]
    if len(homes) != 1:
        raise ConfigError(
            f"{len(homes)} models say that they hold the people.",
            remedy="Give exactly one model `meta: {audiences: {people: <person key>}}`.",
            field="project",
        )
    consents = [_spoken(node, COLUMNS) for node, meta in said if meta.consents]
    suppressions = [_spoken(node, SUPPRESSION_COLUMNS) for node, meta in said if meta.suppressions]
    traits, unusable = _traits(said)
    events = {event.name: event for event in (_event(node, meta) for node, meta in said if meta.event)}
    return Catalogue(
        people=_people(*homes[0]),
        consents=consents[0] if consents else None,
        suppressions=suppressions[0] if suppressions else None,
        traits=traits,
        events=events,
        unusable=unusable,
    )


def _said(node: Node) -> Any:
    return (node["config"].get("meta") or {}).get("audiences")


def _meta_of(node: Node) -> _Meta:
    try:
        meta = _Meta.model_validate(_said(node))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in ("meta", "audiences", *problem["loc"]))
        remedy = nearest_of(problem["loc"][-1], _Meta.model_fields) if problem["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{problem['msg']}.", place=_place(node), field=field, remedy=remedy) from error
    named = (meta.people, meta.traits, meta.person, meta.day, meta.moment, meta.only, meta.entity)
    for name in (*named, *meta.channels.values()):
        if name is not None:
            _require_column(node, name)
    if meta.event and not (meta.person and meta.day):
        raise _wrong(node, f"the event {meta.event!r} needs to say `person` and `day`.", "")
    return meta


def _require_column(node: Node, name: str) -> None:
    if name not in node["columns"]:
        raise _wrong(node, f"there is no column {name!r}.", nearest_of(name, node["columns"]))


def _wrong(node: Node, what: str, remedy: str) -> ConfigError:
    return ConfigError(what, place=_place(node), field=f"{node['name']}.meta.audiences", remedy=remedy)


def _place(node: Node) -> str:
    return str(node.get("patch_path") or node["original_file_path"]).partition("://")[2] or str(
        node["original_file_path"]
    )


def _relation(node: Node) -> Relation:
    return Relation(schema=node["schema"], name=node.get("alias") or node["name"], asset=tuple(key_of(node).path))


def _people(node: Node, meta: _Meta) -> People:
    return People(
        relation=_relation(node), person_key=str(meta.people), entity=meta.entity, channels=dict(meta.channels)
    )


def _spoken(node: Node, columns: Sequence[str]) -> Relation:
    for name in columns:
        _require_column(node, name)
    return _relation(node)


def _event(node: Node, meta: _Meta) -> Event:
    own = {meta.person, meta.day, meta.moment, meta.only}
    fields = {
        name: EventField(name=name, column=name, kind=kind, labels=_column_meta(column).get("label", {}))
        for name, column, kind in _typed(node)
        if name not in own and kind is not None
    }
    return Event(
        name=str(meta.event),
        labels=dict(meta.label),
        relation=_relation(node),
        person_key=str(meta.person),
        day=str(meta.day),
        moment=meta.moment,
        only=meta.only,
        fields=fields,
    )


def _traits(said: list[tuple[Node, _Meta]]) -> tuple[dict[str, Trait], dict[str, str]]:
    """Traits by qualified name, and by their column's where only one relation has it; and what is not to be had."""
    traits: dict[str, Trait] = {}
    unusable: dict[str, str] = {}
    homes: dict[str, list[str]] = {}
    for node, meta in said:
        key = meta.people or meta.traits
        for name, column, kind in _typed(node) if key else ():
            qualified = f"{node['name']}.{name}"
            if name == key:
                continue
            homes.setdefault(name, []).append(qualified)
            if kind is None:
                unusable[qualified] = (
                    f"Give the column a `data_type` in {_place(node)}: text, decimal, date or boolean."
                )
                continue
            own = _column_meta(column)
            traits[qualified] = Trait(
                name=name,
                labels=own.get("label", {}),
                relation=_relation(node),
                person_key=str(key),
                column=name,
                kind=kind,
                is_personal=bool(own.get("personal", meta.personal)),
            )
    for name, qualified_names in homes.items():
        if len(qualified_names) > 1:
            unusable[name] = (
                f"More than one relation has it: write {' or '.join(f'`{one}`' for one in qualified_names)}."
            )
        elif qualified_names[0] in traits:
            traits[name] = traits[qualified_names[0]]
        else:
            unusable[name] = unusable[qualified_names[0]]
    return traits, unusable


def _typed(node: Node) -> Iterator[tuple[str, Mapping[str, Any], Kind | None]]:
    for name, column in node["columns"].items():
        said = str(column.get("data_type") or "").lower().partition("(")[0].strip()
        yield name, column, _KINDS.get(said)


def _column_meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = (column.get("config") or {}).get("meta") or column.get("meta") or {}
    return meta
