"""The private RabbitMQ: its queue, its connections, its application."""
import base64
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import amqp
import private_servers
import processes


def manage(method, path, body=None):
    """A call of the management interface; None if it has nothing to say."""
    address = urllib.parse.urlsplit(os.environ["MGMT_URL"])
    headers = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address.hostname}:{address.port}/api/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def ready(queue):
    """How many messages wait in the queue."""
    return amqp.queue(int(os.environ["AMQP_PORT"]), "/", queue)[0]


def consumers(queue):
    return amqp.queue(int(os.environ["AMQP_PORT"]), "/", queue)[1]


def purge(queue):
    manage("DELETE", f"queues/%2F/{queue}/contents")


def delete(queue):
    manage("DELETE", f"queues/%2F/{queue}")


def unbind(queue):
    """Takes the queue's binding away: tickets that are published then have no route."""
    manage("DELETE", f"bindings/%2F/e/baton/q/{queue}/{queue}")


def close_connections():
    """Closes every connection; returns how many there were."""
    names = [connection["name"] for connection in manage("GET", "connections?columns=name")]
    for name in names:
        try:
            manage("DELETE", "connections/" + urllib.parse.quote(name, safe=""))
        except urllib.error.HTTPError as error:
            if error.code != 404:  # it has ended by itself
                raise
    return len(names)


def call(function):
    """Calls a function inside the broker, as rabbitmqctl does, which would start a machine of its own for it."""
    program = next(pathlib.Path("/usr/lib/erlang").glob("erts-*/bin/erl_call"))
    cookie = pathlib.Path(os.environ["PROVE_SERVERS"], "rmq/.erlang.cookie").read_text()
    command = [program, "-address", f"127.0.0.1:{int(os.environ['AMQP_PORT']) + 20000}", "-c", cookie, "-r", "-a", function]
    answer = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    if "badrpc" in answer:
        raise RuntimeError(answer)


def restart_application(seconds):
    """Stops RabbitMQ's application and starts it again: connections are closed and refused during that time."""
    try:
        call("rabbit stop []")
        time.sleep(seconds)
    finally:
        call("rabbit start []")


def crash_and_start(seconds):
    """kill -9, and a start with what is on the disk, so many seconds later."""
    try:
        private_servers.control("crash", "BROKER_ONLY")
        time.sleep(seconds)
    finally:
        private_servers.control("start", "BROKER_ONLY")


class Alarm:
    """A limit is exceeded inside a `with`: the broker takes nothing from those that publish."""

    def __init__(self, function, low, usual):
        self.function, self.low, self.usual = function, low, usual

    def __enter__(self):
        call(f"{self.function} [{self.low}]")

    def __exit__(self, *_):
        call(f"{self.function} [{self.usual}]")


class Policy:
    """Holds for one queue inside a `with`."""

    def __init__(self, queue, definition):
        self.definition = {"pattern": f"^{queue}$", "apply-to": "queues", "definition": definition}

    def __enter__(self):
        manage("PUT", "policies/%2F/prove", self.definition)

    def __exit__(self, *_):
        manage("DELETE", "policies/%2F/prove")


def first_process():
    return int(pathlib.Path(os.environ["PROVE_SERVERS"], "rmq/pid").read_text())


class Frozen:
    """The broker stands still inside a `with`: connections stay open, and nothing is answered."""

    def __enter__(self):
        self.stopped = processes.tree(first_process())
        for pid in self.stopped:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.stopped:
            os.kill(pid, signal.SIGCONT)
