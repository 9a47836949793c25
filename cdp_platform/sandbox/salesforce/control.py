"""The sandbox's own endpoints: what the organization holds, records that are locked, the end of sessions."""

from cdp_platform.sandbox.salesforce.access import Access
from cdp_platform.sandbox.salesforce.answers import malformed
from cdp_platform.sandbox.salesforce.objects import OBJECTS
from cdp_platform.sandbox.salesforce.store import OrganizationStore
from cdp_platform.sandbox.wire import Answer, ApiRequest


class Control:
    """The endpoints under /sandbox/salesforce."""

    def __init__(self, store: OrganizationStore, access: Access) -> None:
        self._store = store
        self._access = access

    def stats(self, request: ApiRequest) -> Answer:
        """GET stats: records by object, jobs by state, requests of this day."""
        counted = dict(self._store.execute("select object, count(*) from records where is_deleted = 0 group by object"))
        jobs = dict(self._store.execute("select state, count(*) from jobs group by state"))
        day = self._store.timestamp()[:10]
        told = self._store.execute("select accepted, refused from requests where day = ?", (day,))
        accepted, refused = told[0] if told else (0, 0)
        requests = {"accepted": accepted, "refused": refused}
        return Answer(body={"records": counted, "jobs": jobs, "requests": requests})

    def lock(self, request: ApiRequest) -> Answer:
        """PUT locks {object, field, value, times}: the next `times` writes of the record meet somebody else's lock."""
        body = request.body if isinstance(request.body, dict) else {}
        kind, times = OBJECTS.get(str(body.get("object"))), body.get("times")
        if kind is None or not isinstance(times, int) or isinstance(times, bool):
            raise malformed("object and times are needed")
        owners = self._store.owners(kind, str(body.get("field")), body.get("value"))
        for record_id in owners:
            self._store.execute("replace into locks values (?, ?)", (record_id, times))
        return Answer(body={"locked": len(owners)})

    def end_sessions(self, request: ApiRequest) -> Answer:
        """DELETE sessions: every access token that was issued expires."""
        self._access.end_sessions()
        return Answer(status=204)
