# SPDX-License-Identifier: GPL-2.0
"""Sphinx: `make docs`. What headers say is pulled in by the kernel's own scripts/kernel-doc."""

import os
import pathlib
import re
import subprocess
import sys

import sphinx
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(TOP / "Documentation/netlink"))
extensions = ["netlink_spec"]

project = "splice_vm and migrate-helper"
author = "splice_vm developers"
release = re.search('^PACKAGE_VERSION="(.*)"', (TOP / "dkms.conf").read_text(), re.M)[1]
version = release
highlight_language = "none"
html_theme = "alabaster"
html_show_copyright = False
html_copy_source = False
exclude_patterns = ["man", "netlink"]


class KernelDoc(SphinxDirective):
    """.. kernel-doc:: FILE, and one of :doc: TITLE (a DOC section), :internal: (all else)."""

    required_arguments = 1
    option_spec = {"doc": directives.unchanged_required, "internal": directives.flag}

    def run(self):
        path = TOP / self.arguments[0]
        what = ["-no-doc-sections"]
        if "doc" in self.options:
            what = ["-function", self.options["doc"]]
        self.env.note_dependency(str(path))
        done = subprocess.run(
            ["perl", os.environ["KERNEL_DOC"], "-rst", "-Werror",
             "-sphinx-version", sphinx.__version__, *what, str(path)],
            capture_output=True, text=True, check=False)
        if done.returncode or not done.stdout.strip():
            raise self.error(done.stderr or f"nothing of {what} in {path}")
        section = nodes.section()
        section.document = self.state.document
        nested_parse_with_titles(
            self.state, StringList(done.stdout.expandtabs().splitlines(), source=str(path)), section)
        return section.children


def setup(app):
    app.add_directive("kernel-doc", KernelDoc)
    return {"parallel_read_safe": True}
