#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A client that works on while its server moves, and checks each answer.

moved_client.py PROTOCOL PORT FILE ADDRESS...

PROTOCOL is redis or memcached. It fills the server, then writes and reads for ever, at random keys. A
connection that ends is made again, at whichever address answers. What a write that got no answer
left behind may be the old value or the new one; everything else must be exact. FILE has, after
each 100 requests, "REQUESTS WRONG ADDRESS". SIGTERM: all keys are compared, then FILE has
"done REQUESTS WRONG KEYS ADDRESS".
"""
import os
import random
import signal
import socket
import sys
import time

KEYS = 20000
VALUE_BYTES = 3000


def value_of(key, version):
    """Bytes that no other key and version has."""
    return random.Random(key * 1000003 + version).randbytes(VALUE_BYTES)


class Redis:
    """Requests and answers of redis."""
    @staticmethod
    def set(key, value):
        return b'*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n' % (len(key), key, len(value), value)

    @staticmethod
    def get(key):
        return b'*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n' % (len(key), key)

    @staticmethod
    def read_set(stream):
        return stream.readline() == b'+OK\r\n'

    @staticmethod
    def read_get(stream):
        head = stream.readline()
        if not head.startswith(b'$'):
            raise ConnectionError(head)
        if head == b'$-1\r\n':
            return None
        return stream.read(int(head[1:]) + 2)[:-2]


class Memcached:
    """Requests and answers of memcached."""
    @staticmethod
    def set(key, value):
        return b'set %s 0 0 %d\r\n%s\r\n' % (key, len(value), value)

    @staticmethod
    def get(key):
        return b'get %s\r\n' % key

    @staticmethod
    def read_set(stream):
        return stream.readline() == b'STORED\r\n'

    @staticmethod
    def read_get(stream):
        head = stream.readline()
        if head == b'END\r\n':
            return None
        if not head.startswith(b'VALUE'):
            raise ConnectionError(head)
        value = stream.read(int(head.split()[3]) + 2)[:-2]
        if stream.readline() != b'END\r\n':
            raise ConnectionError('no END')
        return value


class Client:
    """What was written, and a connection."""
    def __init__(self, protocol, port, file, addresses):
        self.protocol, self.port, self.file, self.addresses = protocol, port, file, addresses
        self.sock = self.stream = None
        self.address = '-'
        self.versions = [0] * KEYS
        self.requests = self.wrong = 0

    def connect(self):
        while True:
            for address in self.addresses:
                try:
                    self.sock = socket.create_connection((address, self.port), 20)
                    self.stream = self.sock.makefile('rb')
                    self.address = address
                    return
                except OSError:
                    time.sleep(0.02)

    def ask(self, request, read):
        """An answer, or None when the connection has ended."""
        try:
            self.sock.sendall(request)
            answer = read(self.stream)
            self.requests += 1
            return answer
        except (OSError, ValueError, IndexError):
            self.sock.close()
            self.connect()
            return None

    def write(self, key):
        """Until it is acknowledged: the value before, and this one, may both be there meanwhile."""
        version = self.versions[key] + 1
        request = self.protocol.set(b'key%d' % key, value_of(key, version))
        while not self.ask(request, self.protocol.read_set):
            pass
        self.versions[key] = version

    def read(self, key):
        while True:
            requests = self.requests
            value = self.ask(self.protocol.get(b'key%d' % key), self.protocol.read_get)
            if self.requests == requests:
                continue
            if value != value_of(key, self.versions[key]):
                self.wrong += 1
            return

    def say(self, text):
        with open(self.file + '.new', 'w') as file:
            file.write(text + '\n')
        os.rename(self.file + '.new', self.file)


def main():
    protocol = {'redis': Redis, 'memcached': Memcached}[sys.argv[1]]
    client = Client(protocol, int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    client.connect()
    for key in range(KEYS):
        client.write(key)
    while not ended:
        for _ in range(50):
            client.write(random.randrange(KEYS))
            client.read(random.randrange(KEYS))
        client.say('%d %d %s' % (client.requests, client.wrong, client.address))
    for key in range(KEYS):
        client.read(key)
    client.say('done %d %d %d %s' % (client.requests, client.wrong, KEYS, client.address))


main()
