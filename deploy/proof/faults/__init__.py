"""Every class of faults. A fault is a function of the weather, of two numbers from 0 to 1, `where` and `strength`, which the seed draws;
it returns what to record. It is over when the function returns."""
from faults import broker_faults, network_faults, postgres_faults, role_faults, worker_faults
from faults.kind import KILL

KINDS = {**role_faults.KINDS, **broker_faults.KINDS, **postgres_faults.KINDS, **worker_faults.KINDS, **network_faults.KINDS}
USUAL = [name for name, kind in KINDS.items() if not kind.is_extra]
EXTRA = [name for name, kind in KINDS.items() if kind.is_extra]
# While one of these lasts, the harness itself keeps Baton from a dispatch.
OUTAGES = {name for name, kind in KINDS.items() if kind.holds}
# After one of these, the sender of a POST may not know its answer, or cannot record it.
HIDE_ANSWERS = {name for name, kind in KINDS.items() if kind.hides_answers}
# These leave reviews in the hands of a process that does not go on with them.
HANDS = {name for name, kind in KINDS.items() if kind.has_hands}
# These end a process in the middle of its work.
KILLS = {name for name, kind in KINDS.items() if kind.promise == KILL}
