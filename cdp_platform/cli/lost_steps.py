"""A worker that dies with a step: the other workers notice, and the run that waits for it ends failed.

Celery hands a step out once, and of a worker that is gone it says nothing. So the process that does a step signs in
Redis while it does, and every worker looks for steps whose signature has run out: their result is a failure then, which
is what the run waits for. What was under way is taken up by the sync's next run, as after any crash.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

SIGN_SECONDS: Final = 10.0
"""How often a step signs, and how often workers look."""
SIGNED_SECONDS: Final = 60
"""How long a signature holds: a process that stands still for less is not taken for dead."""
MISSED_SECONDS: Final = 30.0
"""How long it is to be missing. After Redis itself was away, living steps sign again before this is over."""
_STEPS: Final = "cdp:steps"
"""The ids of the tasks that workers have taken and not ended."""


class Store(Protocol):
    """As much of Redis as is needed."""

    def set(self, name: str, value: str, *, ex: int) -> Any: ...
    def delete(self, name: str) -> Any: ...
    def exists(self, name: str) -> Any: ...
    def sadd(self, name: str, value: str) -> Any: ...
    def srem(self, name: str, value: str) -> Any: ...
    def smembers(self, name: str) -> Iterable[bytes]: ...


class Steps:
    """The steps that workers have taken, as all workers see them."""

    def __init__(self, store: Callable[[], Store], clock: Callable[[], float] = time.monotonic) -> None:
        """`store` gives a connection that is good in the calling process; `clock` gives seconds that only grow."""
        self._store = store
        self._clock = clock
        self._missed: dict[str, float] = {}

    def sign(self, task_id: str) -> None:
        """Say that a step is being done."""
        self._store().set(_signature(task_id), "", ex=SIGNED_SECONDS)
        self._store().sadd(_STEPS, task_id)

    def end(self, task_id: str) -> None:
        """Say that a step has ended, however it did."""
        self._store().srem(_STEPS, task_id)
        self._store().delete(_signature(task_id))

    def lost(self) -> list[str]:
        """The steps whose signature has been missing for so long that nobody does them any more."""
        now = self._clock()
        taken = [name.decode() for name in self._store().smembers(_STEPS)]
        missing = [task_id for task_id in taken if not self._store().exists(_signature(task_id))]
        self._missed = {task_id: self._missed.get(task_id, now) for task_id in missing}
        return [task_id for task_id, since in self._missed.items() if now - since >= MISSED_SECONDS]

    def begin_anew(self) -> None:
        """Forget what was missed so far: the store was away, and so were those who sign."""
        self._missed.clear()


def watch_steps(app: Any) -> None:
    """Let the workers of a Celery application sign for their steps and end those of workers that are gone."""
    from celery import signals

    steps, threads = Steps(lambda: app.backend.client), dict[str, threading.Event]()

    def taken(request: Any = None, **_: Any) -> None:
        # In the worker's own process, before anybody begins: one that dies in between is found, too.
        _quietly(lambda: steps.sign(request.id))

    def begun(task_id: str = "", **_: Any) -> None:
        over = threads[task_id] = threading.Event()
        threading.Thread(target=_keep_signing, args=(steps, task_id, over), daemon=True).start()

    def ended(task_id: str = "", **_: Any) -> None:
        if over := threads.pop(task_id, None):
            over.set()
        _quietly(lambda: steps.end(task_id))

    def revoked(request: Any = None, **_: Any) -> None:
        _quietly(lambda: steps.end(request.id))

    def ready(**_: Any) -> None:
        threading.Thread(target=_keep_looking, args=(app, steps), daemon=True).start()

    for signal, answer in (
        (signals.task_received, taken),
        (signals.task_prerun, begun),
        (signals.task_postrun, ended),
        (signals.task_revoked, revoked),
        (signals.worker_ready, ready),
    ):
        signal.connect(answer, weak=False)


def end_lost(app: Any, steps: Steps) -> list[str]:
    """Make the result of each lost step a failure, where it has none yet; the answer is whose."""
    from celery.exceptions import WorkerLostError

    ended = []
    for task_id in steps.lost():
        if not app.AsyncResult(task_id).ready():
            error = WorkerLostError("the worker that did this step is gone; the next run goes on where it was.")
            app.backend.mark_as_failure(task_id, error)
            ended.append(task_id)
        steps.end(task_id)
    return ended


def once_only() -> Any:
    """A base for tasks: one whose result is there already, because it was given up, is not done after all."""
    from celery import Task
    from celery.exceptions import Ignore

    class OnceOnly(Task):  # type: ignore[misc]
        abstract = True

        def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
            if self.AsyncResult(task_id).ready():
                raise Ignore()

    return OnceOnly


def _signature(task_id: str) -> str:
    return f"cdp:step:{task_id}"


def _keep_signing(steps: Steps, task_id: str, over: threading.Event) -> None:
    while not over.wait(SIGN_SECONDS):
        _quietly(lambda: steps.sign(task_id))
    # A signature that was on its way when the step ended.
    _quietly(lambda: steps.end(task_id))


def _keep_looking(app: Any, steps: Steps) -> None:
    while True:
        time.sleep(SIGN_SECONDS)
        if not _quietly(lambda: end_lost(app, steps)):
            steps.begin_anew()


def _quietly(act: Callable[[], object]) -> bool:
    """Whether Redis could be asked. Where it could not, the step goes on, and Celery says so by itself."""
    from redis.exceptions import RedisError

    try:
        act()
    except RedisError:
        return False
    return True
