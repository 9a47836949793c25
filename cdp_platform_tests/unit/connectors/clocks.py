"""A clock that tests move by hand."""


class FakeClock:
    """Seconds that pass only when somebody sleeps or sets them."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
