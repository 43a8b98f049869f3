"""Starts and stops the private servers by deploy/local/servers."""
import os
import subprocess

TRIES = 5  # a start waits for the other server's start, and gives up after two minutes


def control(command, only):
    """`only`: "BROKER_ONLY" or "PG_ONLY"."""
    arguments = ["deploy/local/servers", command, *(os.environ[name] for name in ("PROVE_SERVERS", "AMQP_PORT", "PG_PORT"))]
    for left in reversed(range(TRIES)):
        done = subprocess.run(arguments, env={**os.environ, only: "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0 or left == 0:
            return done.check_returncode()
