"""What else does this work, measured in the same rounds: shell commands that take the place of Baton's (deploy/bench/README.md)."""
import contextlib
import os

RUN = "deploy/peers/celery/run"
PEERS = {"Celery": dict(SETUP=f"{RUN} setup", PRODUCE=f"{RUN} produce", CONSUME=f"{RUN} consume 64")}


@contextlib.contextmanager
def standing_in(peer):
    """Its commands instead of Baton's, while the context lasts."""
    before = {role: os.environ.get(role) for role in PEERS[peer]}
    os.environ.update(PEERS[peer])
    try:
        yield
    finally:
        for role, command in before.items():
            os.environ.pop(role) if command is None else os.environ.update({role: command})
