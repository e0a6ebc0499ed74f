#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Images of a pre-dump, compared with the memory of a process that stands or waits.

  pre_dump.py memory DIR PID           whether each page that the images of PID list is as in its memory, and each
                                       page of its private memory is listed. Prints pages, and pages in the parent
  pre_dump.py count DIR                prints pages, and pages in the parent, of all processes
"""
import os
import re
import struct
import sys

from page_replay import PAGE, PARENT, PRESENT, records

FRAME, FILE, SWAPPED, THERE = (1 << 55) - 1, 1 << 61, 1 << 62, 1 << 63


def listed(folder, name):
    """{address: (flags, path of the pages image, offset)} of one pagemap"""
    head, *entries = records(f"{folder}/{name}")
    pages, at = {}, 0
    path = f"{folder}/pages-{head[1]}.img"
    for entry in entries:
        number = entry.get(5) or entry[2]
        flags = entry.get(4, 0) | (PARENT if entry.get(3) else 0)
        for i in range(number):
            address = entry[1] + i * PAGE
            assert address not in pages, f"{address:#x} is listed twice"
            pages[address] = (flags, path, at)
            at += PAGE if flags & PRESENT else 0
    assert os.path.getsize(path) == at, f"{path} has {os.path.getsize(path)} bytes, not {at}"
    return pages


def chain(folder, name):
    """as listed(), of each directory in turn"""
    levels = []
    while True:
        levels.append(listed(folder, name))
        folder += "/parent"
        if not os.path.isdir(folder) or not os.path.exists(f"{folder}/{name}"):
            return levels


def content(levels, address, files):
    for level in levels:
        flags, path, at = level[address]
        if flags & PRESENT:
            if path not in files:
                files[path] = open(path, "rb")
            return os.pread(files[path].fileno(), PAGE, at)
    raise AssertionError(f"no image has {address:#x}")


def entries_of(pid, start, end):
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        data = os.pread(file.fileno(), (end - start) // PAGE * 8, start // PAGE * 8)
    return struct.unpack(f"{len(data) // 8}Q", data)


def is_zero_page(entry):
    """the kernel's page of zeros (KPF_ZERO_PAGE)"""
    with open("/proc/kpageflags", "rb", buffering=0) as flags:
        return struct.unpack("Q", os.pread(flags.fileno(), 8, (entry & FRAME) * 8))[0] & 1 << 24


def private(pid):
    """(start, end, name) of the mappings that a pre-dump carries"""
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            span, prot, *_ = line.split()
            name = line[73:].strip()
            if prot[3] == "p" and not re.match(r"\[v(var|syscall)|\[uprobes", name):
                start, end = (int(x, 16) for x in span.split("-"))
                yield start, end, name


def memory(folder, pid):
    levels = chain(folder, f"pagemap-{pid}.img")
    missing, files = dict(levels[0]), {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end, name in private(pid):
            for i, entry in enumerate(entries_of(pid, start, end)):
                address = start + i * PAGE
                if address in levels[0]:
                    missing.pop(address)
                    there = os.pread(mem.fileno(), PAGE, address)
                    assert content(levels, address, files) == there, f"{address:#x} of {name} differs"
                elif entry & (THERE | SWAPPED) and not entry & FILE or name == "[vdso]":
                    assert entry & THERE and is_zero_page(entry), f"{address:#x} of {name} is not listed"
    assert not missing, f"{len(missing)} pages are listed that are in no mapping"
    print(len(levels[0]), sum(1 for page in levels[0].values() if page[0] & PARENT))


def count(folder):
    pages = [page for name in os.listdir(folder) if re.fullmatch(r"pagemap-[0-9]+\.img", name)
             for page in listed(folder, name).values()]
    print(len(pages), sum(1 for page in pages if page[0] & PARENT))


if __name__ == "__main__":
    {"memory": memory, "count": count}[sys.argv[1]](*sys.argv[2:])
