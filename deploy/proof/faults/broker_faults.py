"""Faults of RabbitMQ."""
import broker
from faults.kind import RETURN, TICKETS, Kind
from system import QUEUE


def close_broker(*_):
    return dict(connections=broker.close_connections())


def purge(*_):
    broker.purge(QUEUE)


def delete_queue(*_):
    broker.delete(QUEUE)


def unbind(*_):
    broker.unbind(QUEUE)


def freeze_broker(weather, _, strength):
    with broker.Frozen():
        weather.is_over.wait(0.5 + 5.5 * strength)


def restart_broker(_, __, strength):
    broker.restart_application(3 * strength)


def kill_broker(_, __, strength):
    broker.crash_and_start(3 * strength)


def memory_alarm(weather, _, strength):
    with broker.Alarm("vm_memory_monitor set_vm_memory_high_watermark", "0.0", '{absolute, "1GB"}'):
        weather.is_over.wait(0.5 + 5 * strength)


def disk_alarm(weather, _, strength):
    with broker.Alarm("rabbit_disk_monitor set_disk_free_limit", '"9000GB"', '"50MB"'):
        weather.is_over.wait(0.5 + 5 * strength)


def refuse_tickets(weather, _, strength):
    """A policy of the operator's: at most one ticket waits, further ones are refused."""
    with broker.Policy(QUEUE, {"max-length": 1, "overflow": "reject-publish"}):
        weather.is_over.wait(1 + 7 * strength)


def drop_tickets(weather, _, strength):
    """The same, but the oldest ticket is dropped without a word."""
    with broker.Policy(QUEUE, {"max-length": 1, "overflow": "drop-head"}):
        weather.is_over.wait(1 + 3 * strength)


KINDS = {
    "close-broker": Kind(8, close_broker, promise=RETURN),
    "purge": Kind(6, purge, promise=TICKETS),
    "delete-queue": Kind(3, delete_queue, promise=TICKETS),
    "unbind": Kind(3, unbind, promise=TICKETS),
    "freeze-broker": Kind(3, freeze_broker, place="broker", holds=True, promise=RETURN),
    "restart-broker": Kind(2, restart_broker, place="broker", holds=True, promise=RETURN),
    "kill-broker": Kind(2, kill_broker, place="broker", holds=True, promise=RETURN),
    "memory-alarm": Kind(2, memory_alarm, place="broker", holds=True, promise=RETURN),
    "disk-alarm": Kind(2, disk_alarm, place="broker", holds=True, promise=RETURN),
    "refuse-tickets": Kind(3, refuse_tickets, place="broker", holds=True, promise=RETURN),
    "drop-tickets": Kind(1, drop_tickets, place="broker", holds=True, promise=TICKETS),
}
