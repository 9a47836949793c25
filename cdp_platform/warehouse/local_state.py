"""`state: local`: what the platform knows lies in a DuckDB file, and the warehouse with the models is only read."""

from contextlib import AbstractContextManager

from cdp_platform.warehouse.base import Dialect, Session, Source, Warehouse


class LocalStateWarehouse:
    """`state`, an embedded warehouse, for everything that is written; `source` for the models and consents."""

    def __init__(self, *, state: Warehouse, source: Source) -> None:
        self._state = state
        self._source = source

    @property
    def source(self) -> Source:
        """The warehouse that is only read."""
        return self._source

    @property
    def dialect(self) -> Dialect:
        return self._state.dialect

    def session(self, purpose: str) -> AbstractContextManager[Session]:
        return self._state.session(purpose)

    def shred(self) -> None:
        self._state.shred()

    def exclusive(self, purpose: str) -> AbstractContextManager[None]:
        return self._state.exclusive(purpose)
