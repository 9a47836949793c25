"""The REST endpoints: versions, describe, query, single upsert, and collections.

Read from developer.salesforce.com api_rest (2026-11-22): resources_sobject_describe, resources_query,
resources_sobject_upsert_patch, resources_composite_sobjects_collections_upsert, _update, _create, _retrieve, _delete.
Not built: the composite and graph resources, SOSL, attachments, field history.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from cdp_platform.sandbox.salesforce.answers import RequestError, malformed, no_field, not_found
from cdp_platform.sandbox.salesforce.objects import OBJECTS, SObject
from cdp_platform.sandbox.salesforce.query import parse, read_record
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.salesforce.writes import Written, delete, upsert, write
from cdp_platform.sandbox.wire import Answer, ApiRequest

MOST_RECORDS: Final = 200
VERSIONS: Final = range(46, 69)
_PAGE_ROWS: Final = range(200, 2_001)
_READ_ONLY: Final = ("Organization",)


class RecordsApi:
    """The endpoints of one organization. Each raises RequestError for a request that it does not take."""

    def __init__(self, store: OrganizationStore) -> None:
        self._store = store

    def versions(self, request: ApiRequest) -> Answer:
        """GET /services/data."""
        names = [f"{number}.0" for number in VERSIONS]
        return Answer(body=[{"label": name, "url": f"/services/data/v{name}", "version": name} for name in names])

    def objects(self, request: ApiRequest) -> Answer:
        """GET sobjects."""
        listed = [{key: value for key, value in kind.body().items() if key != "fields"} for kind in OBJECTS.values()]
        return Answer(body={"encoding": "UTF-8", "maxBatchSize": MOST_RECORDS, "sobjects": listed})

    def describe(self, request: ApiRequest) -> Answer:
        """GET sobjects/{object}/describe."""
        return Answer(body=object_of(request).body())

    def query(self, request: ApiRequest) -> Answer:
        """GET query: one page, and where the next one is."""
        return self._page(request, request.query.get("q", ""), 0)

    def query_all(self, request: ApiRequest) -> Answer:
        """GET queryAll: the same, with what was deleted."""
        return self._page(request, request.query.get("q", ""), 0, with_deleted=True)

    def more(self, request: ApiRequest) -> Answer:
        """GET query/{locator}."""
        name, _, offset = request.path["locator"].rpartition("-")
        soql = self._store.account_value(f"query {name}")
        if soql is None or not offset.isdigit():
            raise malformed("invalid query locator", "INVALID_QUERY_LOCATOR")
        return self._page(request, soql, int(offset), name, with_deleted=name.startswith("0r9"))

    def get(self, request: ApiRequest) -> Answer:
        """GET sobjects/{object}/{id}."""
        kind = object_of(request)
        record = self._store.record(request.path["id"])
        if record is None or record.object != kind.name or record.is_deleted:
            raise not_found("Provided external ID field does not exist or is not accessible")
        return Answer(body=read_record(self._store, record, list(kind.fields), request.path["version"]))

    def create(self, request: ApiRequest) -> Answer:
        """POST sobjects/{object}."""
        kind = _writable(object_of(request))
        written = self._alone(lambda: write(self._store, kind, _values(kind, request.body), None))
        return Answer(status=201, body={"id": written.id, "success": True, "errors": []})

    def update(self, request: ApiRequest) -> Answer:
        """PATCH sobjects/{object}/{id}."""
        kind = _writable(object_of(request))
        self._alone(lambda: write(self._store, kind, _values(kind, request.body), request.path["id"]))
        return Answer(status=204)

    def remove(self, request: ApiRequest) -> Answer:
        """DELETE sobjects/{object}/{id}."""
        kind = _writable(object_of(request))
        self._alone(lambda: delete(self._store, request.path["id"], kind=kind))
        return Answer(status=204)

    def upsert(self, request: ApiRequest) -> Answer:
        """PATCH sobjects/{object}/{field}/{value}: 201 made, 200 changed, 300 where several records have the value."""
        kind = _writable(object_of(request))
        name = _key_field(kind, request.path["field"])
        values = {**_values(kind, request.body, besides=name), name: request.path["value"]}
        may_create = request.query.get("updateOnly", "false").lower() != "true"
        with self._store.transaction():
            written = upsert(self._store, kind, name, values, may_create=may_create)
        if written.several:
            version = request.path["version"]
            listed = [f"/services/data/{version}/sobjects/{kind.name}/{each}" for each in written.several]
            return Answer(status=300, body=listed)
        _require(written)
        body = {"id": written.id, "success": True, "errors": [], "created": written.is_new}
        return Answer(status=201 if written.is_new else 200, body=body)

    def upsert_many(self, request: ApiRequest) -> Answer:
        """PATCH composite/sobjects/{object}/{field}."""
        kind = _writable(object_of(request))
        name = _key_field(kind, request.path["field"])
        rows = [_values(kind, record) for record in _collection(request, kind)]
        if any("Id" in row for row in rows):
            raise malformed("Id must not be told with an external id", "INVALID_FIELD")
        return self._many(request, [partial(upsert, self._store, kind, name, row) for row in rows])

    def write_many(self, request: ApiRequest) -> Answer:
        """POST composite/sobjects makes records, PATCH changes those whose id is told."""
        steps = list[Callable[[], Written]]()
        for record in _collection(request):
            kind = _writable(_kind_named(record.get("attributes")))
            values = _values(kind, record, besides="id")
            record_id = record.get("id") or record.get("Id")
            values.pop("Id", None)
            steps.append(partial(write, self._store, kind, values, record_id))
        return self._many(request, steps)

    def delete_many(self, request: ApiRequest) -> Answer:
        """DELETE composite/sobjects?ids=…."""
        ids = [text for text in request.query.get("ids", "").split(",") if text]
        _check_size(ids)
        answer = self._many(request, [partial(delete, self._store, record_id) for record_id in ids])
        items = [{key: value for key, value in item.items() if key != "created"} for item in answer.body]
        return Answer(body=items)

    def retrieve_many(self, request: ApiRequest) -> Answer:
        """GET composite/sobjects/{object}?ids=…&fields=…, and the same as POST."""
        kind = object_of(request)
        told = request.body if isinstance(request.body, dict) else {}
        ids = told.get("ids") or [text for text in request.query.get("ids", "").split(",") if text]
        fields = told.get("fields") or [text for text in request.query.get("fields", "").split(",") if text]
        if missing := [name for name in fields if name not in kind.fields]:
            raise no_field(missing[0], kind.name)
        if len(ids) > 2_000:
            raise malformed("at most 2000 ids")
        records = [self._store.record(str(each)) for each in ids]
        version = request.path["version"]
        return Answer(
            body=[
                read_record(self._store, record, fields, version) if record and not record.is_deleted else None
                for record in records
            ]
        )

    def _page(
        self, request: ApiRequest, soql: str, offset: int, name: str = "", *, with_deleted: bool = False
    ) -> Answer:
        query, version = parse(soql), request.path["version"]
        size = _page_rows(request.headers.get("sforce-query-options", ""))
        found = query.select(self._store, offset=offset, most=size, with_deleted=with_deleted)
        records = [read_record(self._store, record, query.fields, version) for record in found[:size]]
        total = query.count(self._store, with_deleted=with_deleted)
        body: dict[str, Any] = {"totalSize": total, "done": len(found) <= size, "records": records}
        if not body["done"]:
            name = name or self._store.new_id("0r9" if with_deleted else "0r8")
            self._store.set_account_value(f"query {name}", soql)
            body["nextRecordsUrl"] = f"/services/data/{version}/query/{name}-{offset + size}"
        return Answer(body=body)

    def _alone(self, step: Callable[[], Written]) -> Written:
        with self._store.transaction():
            written = step()
        _require(written)
        return written

    def _many(self, request: ApiRequest, steps: list[Callable[[], Written]]) -> Answer:
        """Take the records one by one; with allOrNone nothing stays where one is refused."""
        told = request.body if isinstance(request.body, dict) else {}
        is_whole = told.get("allOrNone") is True or request.query.get("allOrNone", "").lower() == "true"
        written = list[Written]()
        try:
            with self._store.transaction():
                written += [step() for step in steps]
                if is_whole and any(item.trouble for item in written):
                    raise _RolledBack
        except _RolledBack:
            message = "Record rolled back because not all records were valid and the request was using AllOrNone header"
            error = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": message, "fields": []}
            rolled_back = {"success": False, "errors": [error]}
            return Answer(body=[item.body() if item.trouble else rolled_back for item in written])
        return Answer(body=[item.body() for item in written])


class _RolledBack(Exception):
    """Everything of a request is undone."""


def object_of(request: ApiRequest) -> SObject:
    """Return the object that a path names; raise RequestError 404 where there is none."""
    kind = OBJECTS.get(request.path["object"])
    if kind is None:
        raise not_found()
    return kind


def _writable(kind: SObject) -> SObject:
    if kind.name in _READ_ONLY:
        raise RequestError(403, "INSUFFICIENT_ACCESS", f"entity type {kind.name} does not support it")
    return kind


def _kind_named(attributes: Any) -> SObject:
    name = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(name, str) or name not in OBJECTS:
        raise malformed("sObject type is missing or not supported", "INVALID_TYPE")
    return OBJECTS[name]


def _key_field(kind: SObject, name: str) -> str:
    item = kind.fields.get(name)
    if item is None or not item.is_external_id:
        raise not_found("Provided external ID field does not exist or is not accessible: " + name[:80])
    return name


def _collection(request: ApiRequest, kind: SObject | None = None) -> list[Mapping[str, Any]]:
    records = request.body.get("records") if isinstance(request.body, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise malformed("records: a list of objects is expected")
    _check_size(records)
    for record in records:
        if kind is not None and _kind_named(record.get("attributes")) is not kind:
            raise malformed("all records must be of the object in the path", "INVALID_TYPE")
    return records


def _check_size(items: list[Any]) -> None:
    if not 1 <= len(items) <= MOST_RECORDS:
        raise malformed(f"the collection takes 1 to {MOST_RECORDS} records", "EXCEEDED_ID_LIMIT")


def _values(kind: SObject, record: Any, *, besides: str = "") -> dict[str, Any]:
    """Return the fields of a record; raise RequestError 400 for one that the object does not have."""
    if not isinstance(record, dict):
        raise malformed("an object is expected")
    values = {name: value for name, value in record.items() if name not in ("attributes", besides)}
    for name, value in values.items():
        lookup = kind.relationship(name)
        inner = set(value) - {"attributes"} if isinstance(value, dict) else set()
        if lookup is not None and (value is None or len(inner) == 1):
            if stranger := next((each for each in inner if each not in OBJECTS[lookup.parent].fields), None):
                raise no_field(stranger, lookup.parent)
        elif name not in kind.fields or isinstance(value, dict | list):
            raise no_field(name[:80], kind.name)
    return values


def _require(written: Written) -> None:
    if written.trouble:
        status = 404 if written.trouble.code in ("NOT_FOUND", "ENTITY_IS_DELETED") else 400
        raise RequestError(status, written.trouble.code, written.trouble.message, written.trouble.fields)


def _page_rows(options: str) -> int:
    _, _, text = options.replace(" ", "").partition("batchSize=")
    size = int(text) if text.isdigit() and len(text) < 6 else _PAGE_ROWS.stop - 1
    return min(max(size, _PAGE_ROWS.start), _PAGE_ROWS.stop - 1)
