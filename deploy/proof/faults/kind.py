"""What the runner knows about a class of faults."""
import dataclasses
from collections.abc import Callable

RETURN = (10, 10)  # seconds: p99 and worst, after a server has returned
KILL = (5, 15)
HOST = (30, 30)
TICKETS = (30, 30)  # after the queue was purged, deleted or unbound


@dataclasses.dataclass(frozen=True)
class Kind:
    weight: float  # how often it comes, against the others
    run: Callable
    place: str = None  # faults of the same place never last at the same time
    holds: bool = False  # a server is away, so that Baton cannot dispatch
    hides_answers: bool = False  # a sender may not learn or record that the worker has its review
    has_hands: bool = False  # a process has ended or stands still: what it held is measured
    promise: tuple = None  # seconds (p99, worst) until what was in flight is on its way again
    is_background: bool = False  # others may count as alone while it lasts
    is_extra: bool = False  # only if asked for
