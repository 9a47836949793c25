"""The records API of whichever kind of record a path names, and what is asked about the kinds themselves."""

from collections.abc import Callable
from typing import Final

from cdp_platform.sandbox.hubspot.answers import not_found
from cdp_platform.sandbox.hubspot.api import ContactsApi
from cdp_platform.sandbox.hubspot.associations import Associations
from cdp_platform.sandbox.hubspot.changes import read_record_id
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.people import PeopleRule
from cdp_platform.sandbox.wire import Answer, ApiRequest, Handler

_REPLAYED: Final = ("deals", "line_items")


class ObjectApis:
    """Every kind's endpoints, found by the `object` of the path."""

    def __init__(
        self,
        objects: Objects,
        rule: PeopleRule,
        associations: Associations,
        look: Callable[[], None],
        *,
        search_lag_seconds: float,
    ) -> None:
        """`look` brings deals and their lines up to the day that is replayed."""
        self._objects = objects
        self._rule = rule
        self._associations = associations
        self._look = look
        self._search_lag_seconds = search_lag_seconds

    def on(self, endpoint: Callable[[ContactsApi, ApiRequest], Answer]) -> Handler:
        """Return an endpoint as a handler of paths with `object`."""

        def handle(request: ApiRequest) -> Answer:
            return endpoint(self._api(request.path["object"]), request)

        return handle

    def listed(self, request: ApiRequest) -> Answer:
        """GET objects/{object}: with `associations`, what each record of the page is associated with."""
        answer = self._api(request.path["object"]).list_contacts(request)
        kind, _ = self._objects.find(request.path["object"])
        others = [
            self._objects.find(name.strip())[0] for name in request.query.get("associations", "").split(",") if name
        ]
        for record in answer.body["results"] if others else []:
            found = {other: self._associations.of_record(kind, int(record["id"]), other) for other in others}
            record["associations"] = {
                other.name: {
                    "results": [
                        {"id": str(each["toObjectId"]), "type": f"{kind.singular}_to_{other.singular}"}
                        for each in linked
                    ]
                }
                for other, linked in found.items()
                if linked
            }
        return answer

    def schemas(self, request: ApiRequest) -> Answer:
        """GET schemas: the custom objects."""
        return Answer(body={"results": self._objects.schemas()})

    def schema(self, request: ApiRequest) -> Answer:
        """GET schemas/{object}."""
        kind, _ = self._objects.find(request.path["object"])
        found = [each for each in self._objects.schemas() if each["fullyQualifiedName"] == kind.name]
        if not found:
            raise not_found("No such custom object")
        return Answer(body=found[0])

    def define(self, request: ApiRequest) -> Answer:
        """POST schemas."""
        return Answer(status=201, body=self._objects.define(request.body))

    def associated(self, request: ApiRequest) -> Answer:
        """GET objects/{from}/{id}/associations/{to}."""
        from_kind, _ = self._objects.find(request.path["from"])
        to_kind, _ = self._objects.find(request.path["to"])
        record_id = next(iter(read_record_id(request.path["id"])), 0)
        return Answer(body={"results": self._associations.of_record(from_kind, record_id, to_kind)})

    def _api(self, name: str) -> ContactsApi:
        kind, store = self._objects.find(name)
        if kind.name in _REPLAYED:
            self._look()
        return ContactsApi(store, self._rule, kind=kind, search_lag_seconds=self._search_lag_seconds)
