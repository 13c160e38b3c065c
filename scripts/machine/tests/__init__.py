# SPDX-License-Identifier: GPL-2.0
"""Unit tests of the runner: python3 -m unittest discover -s tests -t . (in its directory)."""
