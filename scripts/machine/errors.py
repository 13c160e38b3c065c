# SPDX-License-Identifier: GPL-2.0
"""The one error that ends a run with a clear line instead of a traceback."""


class MachineError(Exception):
    """Something the user has to mend; the text says what."""
