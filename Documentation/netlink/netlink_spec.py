#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The netlink specification: its text for the documentation, and whether the header agrees.

    netlink_spec.py --rst            the text, as the documentation has it
    netlink_spec.py --check          compares names, numbers and texts with the uapi headers

As an extension of Sphinx it has a directive, netlink-spec, in whose place the text goes.
"""
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
UAPI = HERE.parent.parent / "uapi"


def words(text):
    """A text without its line breaks."""
    return " ".join((text or "").split())


def c_name(*parts):
    """Names of the specification as the kernel's generator puts them together."""
    return "-".join(parts).upper().replace("-", "_")


def numbered(entries):
    """(entry, number) of a list in which each follows the last or says its value."""
    number = 0
    for entry in entries:
        number = entry.get("value", number + 1)
        yield entry, number


def attribute_text(attribute):
    """What the header says of an attribute: its type, then its text."""
    return words(f"{attribute['type']}. {attribute.get('doc', '')}")


def wanted(spec):
    """The enums that the header must have: name to number, name to text."""
    family = spec["name"]
    for group in spec["attribute-sets"]:
        prefix = c_name(family, "a", group["name"])
        yield (f"{family}_a_{group['name']}", group["doc"], prefix,
               [(c_name(prefix, a["name"]), n, attribute_text(a))
                for a, n in numbered(group["attributes"])])
    prefix = c_name(family, "cmd")
    yield (f"{family}_cmd", None, prefix,
           [(c_name(prefix, op["name"]), n, words(op["doc"]))
            for op, n in numbered(spec["operations"]["list"])])


def enum_values(body):
    """(name, number) of the entries of a C enum, up to the one after the last."""
    number = -1
    for entry in body.split(","):
        name, _, value = entry.strip().partition("=")
        if name.startswith("__"):
            return
        number = int(value, 0) if value else number + 1
        yield name.strip(), number


def enum_texts(comment):
    """Name to text of a kernel-doc comment; that of the enum itself is its name's."""
    lines = [line.strip()[2:] for line in comment.splitlines()[1:-1]]
    texts, name = {}, None
    for line in lines:
        start = re.match(r"(?:enum (\w+) -|@(\w+):) ?(.*)", line)
        if start:
            name = start[1] or start[2]
            line = start[3]
        texts[name] = texts.get(name, "") + " " + line
    return {name: words(text) for name, text in texts.items()}


def check_enum(header, name, doc, prefix, entries):
    """Complaints about one enum of the header."""
    found = re.search(r"(/\*\*\n \* enum %s .*?\*/)\nenum %s \{(.*?)\};" % (name, name),
                      header, re.S)
    if not found:
        yield f"no enum {name} with a comment"
        return
    values, texts = list(enum_values(found[2])), enum_texts(found[1])
    if values != [(entry, number) for entry, number, _ in entries]:
        yield f"enum {name}: {values}"
    if doc and texts.get(name) != words(doc):
        yield f"{name}: {texts.get(name)!r}"
    for entry, _, text in entries:
        if texts.get(entry) != text:
            yield f"{entry}: {texts.get(entry)!r}, not {text!r}"
    if f"{prefix}_MAX = (__{prefix}_MAX - 1)" not in found[2]:
        yield f"enum {name}: no {prefix}_MAX"


def check_defines(spec, header):
    """Complaints about names that are macros."""
    family = spec["name"]
    want = {c_name(family, "family-name"): family}
    for group in spec["mcast-groups"]["list"]:
        want[c_name(family, "mcgrp", group["name"])] = group["name"]
    for name, value in want.items():
        if not re.search(r'^#define %s\s+"%s"$' % (name, value), header, re.M):
            yield f'no {name} "{value}"'


def check_borrowed(spec):
    """Complaints about enums whose values another header defines as macros."""
    for enum in spec["definitions"]:
        header = (UAPI / enum["header"]).read_text()
        prefix = c_name(spec["name"], enum["name"])
        have = {name: int(value, 0) for name, value in
                re.findall(r"^#define (%s_\w+)\s+(\w+)" % prefix, header, re.M)}
        want = {c_name(prefix, entry["name"]): number
                for number, entry in enumerate(enum["entries"])}
        if have != want:
            yield f"{enum['name']}: {have}, not {want}"


def check(spec):
    """All complaints."""
    header = (UAPI / spec["uapi-header"]).read_text()
    for name, doc, prefix, entries in wanted(spec):
        yield from check_enum(header, name, doc, prefix, entries)
    yield from check_defines(spec, header)
    yield from check_borrowed(spec)


def rst_table(head, rows):
    """A table; every cell is one paragraph."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in [head, *rows]:
        for i, cell in enumerate(row):
            yield f"   {'*' if not i else ' '} - {cell}"
    yield ""


def rst_title(text):
    """A heading, below that of the page."""
    yield from (text, "-" * len(text), "")


def rst(spec):
    """All that the specification says, line by line."""
    yield from (words(spec["doc"]), "")
    yield from rst_title("Messages")
    yield from rst_table(
        ("number", "name", "kind", "what"),
        [(n, f"``{op['name']}``", "event" if "notify" in op else "dump", words(op["doc"]))
         for op, n in numbered(spec["operations"]["list"])])
    for group in spec["attribute-sets"]:
        yield from rst_title(f"Attributes of a {group['name']}")
        yield from (words(group["doc"]), "")
        yield from rst_table(
            ("number", "name", "type", "what"),
            [(n, f"``{a['name']}``", a.get("enum", a["type"]), words(a.get("doc")))
             for a, n in numbered(group["attributes"]) if a["type"] != "pad"])
    for enum in spec["definitions"]:
        yield from rst_title(f"Values of {enum['name']}")
        yield from (words(enum["doc"]), "")
        yield from rst_table(
            ("number", "name", "what"),
            [(n, f"``{e['name']}``", words(e["doc"])) for n, e in enumerate(enum["entries"])])


def load():
    """The specification."""
    return yaml.safe_load((HERE / "splice_vm.yaml").read_text())


def setup(app):
    """For Sphinx, which is not needed otherwise."""
    # pylint: disable=import-outside-toplevel
    from docutils import nodes
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective
    from sphinx.util.nodes import nested_parse_with_titles

    class NetlinkSpec(SphinxDirective):
        """.. netlink-spec::"""

        def run(self):
            self.env.note_dependency(str(HERE / "splice_vm.yaml"))
            section = nodes.section()
            section.document = self.state.document
            nested_parse_with_titles(self.state, StringList(list(rst(load()))), section)
            return section.children

    app.add_directive("netlink-spec", NetlinkSpec)
    return {"parallel_read_safe": True}


def main():
    """See above. Return: exit status"""
    spec = load()
    if sys.argv[1:] == ["--rst"]:
        print("\n".join(rst(spec)))
        return 0
    if sys.argv[1:] == ["--check"]:
        complaints = list(check(spec))
        print("\n".join(complaints))
        return 1 if complaints else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
