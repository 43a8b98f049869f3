"""Faults of the worker. Its lost, late and doubled callbacks are not here: they happen all the time."""
from faults.kind import Kind

# Seconds, from and to.
MODES = {
    "hang": (2, 12), "error": (1, 5), "reset": (1, 5), "refuse": (1, 5), "busy": (1, 5), "unavailable": (1, 5), "garbage": (1, 5),
    "redirect": (1, 5),
}


def worker(weather, where, strength):
    mode = list(MODES)[int(where * len(MODES))]
    low, high = MODES[mode]
    weather.system.command_worker(mode=mode)
    weather.is_over.wait(low + (high - low) * strength)
    weather.system.command_worker(mode="fine")
    return dict(mode=mode)


KINDS = {"worker": Kind(10, worker, place="worker", holds=True)}
