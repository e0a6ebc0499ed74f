#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Trees of processes without a client, which check themselves while they move.

moved_trees.py pool FILE        a multiprocessing pool of four, whose parent checks each result
moved_trees.py supervisor FILE  a parent that starts each of twenty children again when it ends
moved_trees.py sysv FILE        two processes that write and read one segment of System V shared memory

FILE has the number of results (of children that ended well, for the supervisor). A process that finds
something wrong writes a line into FILE.wrong.
"""
import ctypes
import multiprocessing
import os
import random
import sys
import time
import zlib

CHILDREN = 20
BLOCK_BYTES = 1 << 18
SEGMENT_BLOCKS = 32


def say(file, count):
    with open(file + '.new', 'w') as out:
        out.write('%d\n' % count)
    os.rename(file + '.new', file)


def complain(file, text):
    with open(file + '.wrong', 'a') as out:
        out.write(text + '\n')


def crc_of(seed):
    return zlib.crc32(random.Random(seed).randbytes(BLOCK_BYTES))


def pool(file):
    count = 0
    with multiprocessing.get_context('fork').Pool(4) as workers:
        while True:
            seeds = [random.randrange(1 << 30) for _ in range(32)]
            for seed, crc in zip(seeds, workers.map(crc_of, seeds, chunksize=1)):
                if crc != crc_of(seed):
                    complain(file, 'the result of seed %d' % seed)
            count += len(seeds)
            say(file, count)


def child():
    """Changes memory of its own and looks whether it is what it left; ends after some 2 s."""
    block = bytearray(os.urandom(BLOCK_BYTES))
    crc = zlib.crc32(block)
    for _ in range(random.randrange(50, 150)):
        time.sleep(0.02)
        if zlib.crc32(block) != crc:
            os._exit(1)
        block[random.randrange(BLOCK_BYTES)] ^= 1
        crc = zlib.crc32(block)
    os._exit(0)


def supervisor(file):
    children, count = set(), 0
    while True:
        while len(children) < CHILDREN:
            random.seed()
            pid = os.fork()
            if not pid:
                child()
            children.add(pid)
        pid, status = os.wait()
        if status or pid not in children:
            complain(file, 'pid %d, status %#x' % (pid, status))
        children.discard(pid)
        count += 1
        say(file, count)


class Segment:
    """System V shared memory: blocks that end with the checksum of what is in front of it."""
    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
        size = SEGMENT_BLOCKS * BLOCK_BYTES
        self.address = libc.shmat(libc.shmget(0x5917, size, 0o1600), None, 0)
        self.memory = memoryview((ctypes.c_char * size).from_address(self.address)).cast('B')

    def write(self, number):
        block = os.urandom(BLOCK_BYTES - 4)
        at = number * BLOCK_BYTES
        self.memory[at:at + BLOCK_BYTES] = block + zlib.crc32(block).to_bytes(4, 'little')

    def is_whole(self, number):
        block = bytes(self.memory[number * BLOCK_BYTES:(number + 1) * BLOCK_BYTES])
        return zlib.crc32(block[:-4]).to_bytes(4, 'little') == block[-4:]


def sysv(file):
    """One process writes the even blocks, the other the odd ones; each reads those of the other."""
    segment = Segment()
    for number in range(SEGMENT_BLOCKS):
        segment.write(number)
    child, count = not os.fork(), 0
    random.seed()
    while True:
        number = 2 * random.randrange(SEGMENT_BLOCKS // 2)
        segment.write(number + child)
        # The other one may be writing.
        if not any(segment.is_whole(number + 1 - child) or time.sleep(0.01) for _ in range(200)):
            complain(file, 'block %d' % (number + 1 - child))
        count += 1
        if not child:
            say(file, count)


{'pool': pool, 'supervisor': supervisor, 'sysv': sysv}[sys.argv[1]](sys.argv[2])
