"""How many messages are ready in a queue, and how many consumers it has: asked over AMQP by a passive declare.

The management interface would answer with figures that are up to five seconds old.
"""
import socket
import struct


def short(text):
    data = text.encode()
    return struct.pack("B", len(data)) + data


def long(data):
    return struct.pack(">I", len(data)) + data


def read(stream):
    """The next method on the connection: (class, method) and its arguments."""
    while True:
        kind, _, size = struct.unpack(">BHI", stream.read(7))
        payload = stream.read(size + 1)[:-1]
        if kind == 1:
            return struct.unpack(">HH", payload[:4]), payload[4:]


def queue(port, vhost, name):
    """(messages ready, consumers), or (0, 0) if there is no such queue yet."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        stream = connection.makefile("rb")

        def send(channel, method, arguments):
            payload = struct.pack(">HH", *method) + arguments
            connection.sendall(struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce")

        def call(channel, method, arguments):
            send(channel, method, arguments)
            return read(stream)

        connection.sendall(b"AMQP\0\0\x09\x01")
        read(stream)
        login = long(b"") + short("PLAIN") + long(b"\0guest\0guest") + short("en_US")
        call(0, (10, 11), login)
        send(0, (10, 31), struct.pack(">HIH", 1, 131072, 0))
        call(0, (10, 40), short(vhost) + short("") + b"\0")
        call(1, (20, 10), short(""))
        method, answer = call(1, (50, 10), struct.pack(">H", 0) + short(name) + b"\x01" + long(b""))
        return struct.unpack(">II", answer[1 + answer[0]:]) if method == (50, 11) else (0, 0)
