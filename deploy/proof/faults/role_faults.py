"""Faults of Baton's processes."""
import time

import broker
import clocks
import postgres
from faults.kind import HOST, KILL, Kind
from system import DATABASE


def kill(weather, where, _):
    # Half of the kills hit a consumer: consumers hold most of the work.
    kind, where = ("consume", where * 2) if where < 0.5 else (None, where * 2 - 1)
    role = weather.one_role(where, may_be_paused=True, kind=kind, ends=True) or weather.one_role(where, may_be_paused=True, ends=True)
    if not role:
        return dict(skipped=True)
    dead, pid, at = role.kill()
    return dict(target=dead, killed=at, hands=weather.recovery.lost(dead, pid, at, "kill"))


def kill_publishing(weather, where, _):
    """A kill between a claim and its publish, which is rarely hit by chance: the broker stands still for up to a second."""
    if not (role := weather.one_role(where, kind="produce", ends=True)):
        return dict(skipped=True)
    with broker.Frozen():
        wait_for_claims(role.process.pid)
        dead, pid, at = role.kill()
        hands = weather.recovery.lost(dead, pid, at, "kill-publishing")
    return dict(target=dead, killed=at, hands=hands)


def wait_for_claims(pid):
    end = time.monotonic() + 1
    while time.monotonic() < end:
        if postgres.query(f"""SELECT 1 FROM baton_holders h JOIN code_reviews r ON r.claimed_by = h.id
                              WHERE h.pid = {pid} AND r.status = 'queued' AND r.published_at IS NULL LIMIT 1""", DATABASE):
            return
        time.sleep(0.05)


def terminate(weather, where, _):
    if not (role := weather.one_role(where, ends=True)):
        return dict(skipped=True)
    label = role.label
    return dict(target=label, status=role.terminate())


def terminate_twice(weather, where, strength):
    """A second SIGTERM while the process drains: it ends at once."""
    if not (role := weather.one_role(where, ends=True)):
        return dict(skipped=True)
    label, pid = role.label, role.process.pid
    status, at = role.terminate(second_after=0.05 + 0.5 * strength)
    return dict(target=label, killed=at, second_status=status, hands=weather.recovery.lost(label, pid, at, "terminate-twice"))


def pause(weather, where, strength):
    return stand_still(weather, where, 0.2 + 14 * strength ** 2)


def pause_beyond_lease(weather, where, strength):
    """Longer than the 15 s of BATON_LEASE: others take over, and the process wakes up with what it thinks it has."""
    return stand_still(weather, where, 20 + 20 * strength, "pause-beyond-lease")


def stand_still(weather, where, seconds, measured=None):
    if not (role := weather.one_role(where)) or not weather.others_go_on(role):
        return dict(skipped=True)
    label, pid, at = role.label, role.process.pid, time.time()
    hands = []
    role.pause(weather.is_over, seconds, lambda: measured and hands.append(weather.recovery.lost(label, pid, at, measured)))
    return dict(target=label, killed=at, hands=sum(hands)) if measured else dict(target=label)


def clock(weather, where, strength):
    """SIGTERM, and a new process whose clock is wrong by up to ten minutes."""
    if not clocks.are_possible() or not (role := weather.one_role(where, ends=True)):
        return dict(skipped=True)
    label, offset = role.label, round(1200 * strength - 600)
    status = role.terminate(**clocks.environment(offset))
    return dict(target=label, status=status, offset=offset)


KINDS = {
    "kill": Kind(28, kill, hides_answers=True, has_hands=True, promise=KILL),
    "kill-publishing": Kind(4, kill_publishing, place="broker", holds=True, has_hands=True, promise=KILL),
    "terminate": Kind(8, terminate),
    "terminate-twice": Kind(5, terminate_twice, hides_answers=True, has_hands=True, promise=KILL),
    "pause": Kind(10, pause, hides_answers=True),
    "pause-beyond-lease": Kind(3, pause_beyond_lease, hides_answers=True, has_hands=True, promise=HOST),
    "clock": Kind(4, clock),
}
