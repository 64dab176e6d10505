"""Starts a program that ends with its parent: `python -m flows.child PARENT SIGNAL COMMAND …`.

A supervisor that is killed cannot end its children; the kernel does it then, by the signal
(PR_SET_PDEATHSIG). That survives the exec, so it works for programs that are not ours. Linux only; elsewhere
the child merely starts.
"""

import ctypes
import os
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Becomes the command."""
    parent, number, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != int(parent):
            sys.exit("The supervisor ended before its child began.")
    os.execv(command[0], command)  # noqa: S606 - the supervisor's own list


if __name__ == "__main__":
    main()
