#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Clients of an HTTP server that moves: they ask all the time and look at each answer.

moved_http.py PORT PATH WANTED FILE ADDRESS...

Four clients keep their connection as long as the server does, and then make another one at whichever
address answers. An answer is right when its body is that of the file WANTED; with WANTED - each
answer with status 200 is. FILE has, ten times a second, "ANSWERS WRONG ADDRESS", where ADDRESS is that of
the last answer. SIGTERM: FILE gets "done" in front.
"""
import http.client
import os
import signal
import sys
import threading
import time

CLIENTS = 4


class Clients:
    """What all of them have seen."""
    def __init__(self, port, path, wanted, addresses):
        self.port, self.path, self.addresses = port, path, addresses
        self.wanted = None if wanted == '-' else open(wanted, 'rb').read()
        self.lock = threading.Lock()
        self.answers = self.wrong = 0
        self.address = '-'
        self.ended = False

    def note(self, address, status, body):
        right = status == 200 and self.wanted in (None, body)
        with self.lock:
            self.answers += 1
            self.wrong += not right
            self.address = address
        if not right:
            print(address, status, body[:80], file=sys.stderr)

    def ask_at(self, address):
        """Until the connection ends."""
        connection = http.client.HTTPConnection(address, self.port, timeout=20)
        try:
            while not self.ended:
                connection.request('GET', self.path)
                answer = connection.getresponse()
                self.note(address, answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            pass
        connection.close()

    def work(self):
        while not self.ended:
            for address in self.addresses:
                self.ask_at(address)
            time.sleep(0.02)

    def say(self, file, word=''):
        with open(file + '.new', 'w') as out:
            out.write('%s%d %d %s\n' % (word, self.answers, self.wrong, self.address))
        os.rename(file + '.new', file)


def main():
    port, path, wanted, file = sys.argv[1:5]
    clients = Clients(int(port), path, wanted, sys.argv[5:])
    signal.signal(signal.SIGTERM, lambda *_: setattr(clients, 'ended', True))
    threads = [threading.Thread(target=clients.work, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    while not clients.ended:
        clients.say(file)
        time.sleep(0.1)
    for thread in threads:
        thread.join(30)
    clients.say(file, 'done ')


main()
