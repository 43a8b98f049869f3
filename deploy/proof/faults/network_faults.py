"""Faults of the network between Baton and each server; proxy.py has what each mode does."""
from faults.kind import RETURN, Kind

LINKS = ["postgres", "postgres", "broker", "broker", "worker", "callbacks", "github"]
SHARES = [0.3, 0.6, 1]
DIRECTIONS = ["client", "server", "both"]


def network(mode, low, high):
    """One link is disturbed for `low` to `high` seconds."""

    def run(weather, where, strength):
        # Several choices from one number: its digits.
        link = LINKS[int(where * len(LINKS))]
        share, direction = SHARES[int(where * 1e3) % 3], DIRECTIONS[int(where * 1e5) % 3]
        seconds = low + (high - low) * strength
        weather.system.proxy.command(link=link, mode=mode, seconds=seconds, share=share, direction=direction, delay=0.1 + 1.5 * strength)
        weather.is_over.wait(seconds)
        weather.system.proxy.command(link=link, mode="fine", seconds=0, share=0)
        return dict(link=link, share=share)

    return run


def kind(weight, mode, low, high):
    # One link is disturbed at a time: a second command would end the first.
    return Kind(weight, network(mode, low, high), place="network", holds=True, hides_answers=True, promise=RETURN)


KINDS = {
    "delay": kind(4, "delay", 2, 10),
    "trickle": kind(2, "trickle", 2, 12),
    "stall": kind(3, "stall", 1, 12),
    "half-open": kind(3, "half-open", 5, 25),
    "cut-in-a-write": kind(4, "cut", 0.5, 2),
    "lose-answers": kind(5, "lose-answer", 0.5, 2),
}
