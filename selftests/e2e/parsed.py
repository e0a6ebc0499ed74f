#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A program with the memory of a real one: parsed.py FILE MIB: the syntax trees of Python's own library, until MIB are resident. Says so in FILE."""
import ast
import pathlib
import sys
import sysconfig
import time


def resident_mib():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) // 256


kept = []
while resident_mib() < int(sys.argv[2]):
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        try:
            kept.append(ast.parse(path.read_bytes()))
        except (SyntaxError, ValueError):
            continue
        if resident_mib() >= int(sys.argv[2]):
            break
pathlib.Path(sys.argv[1]).write_text(f"{resident_mib()}\n")
while True:
    time.sleep(3600)
