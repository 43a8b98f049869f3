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
import processes


def manage(method, path):
    """A call of the management interface; None if it has nothing to say."""
    address = urllib.parse.urlsplit(os.environ["MGMT_URL"])
    headers = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}
    request = urllib.request.Request(f"http://{address.hostname}:{address.port}/api/{path}", method=method, headers=headers)
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


def control(*arguments):
    command = ["deploy/local/servers", "ctl", os.environ["PROVE_SERVERS"], os.environ["AMQP_PORT"], os.environ["PG_PORT"]]
    subprocess.run([*command, *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def restart_application(seconds):
    """Stops RabbitMQ's application and starts it again: connections are closed and refused during that time."""
    try:
        control("stop_app")
        time.sleep(seconds)
    finally:
        control("start_app")


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
