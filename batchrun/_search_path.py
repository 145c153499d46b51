"""What a command must not import or run: anything from the folder the user is in.

This module is loaded first, and imports only what the interpreter itself has loaded before.
"""

import os
import sys


def _is_command() -> bool:
    started = sys.argv[0] if sys.argv else ""
    if started == "-m":  # until the module is found; it may be written -m batchrun or -Imbatchrun
        return any(
            word.removesuffix(".__main__").endswith("batchrun") for word in sys.orig_argv[1:]
        )
    return os.path.splitext(os.path.basename(started))[0] == "batchrun"


def forget_current_folder() -> None:
    """Take the current folder off the search paths, where this is the command.

    The folder may be a stranger's. ``python -m`` puts it first on ``sys.path``, and an empty or
    relative entry in PYTHONPATH or PATH puts it somewhere. In a program of its own a user decides
    what is imported, so there the paths stay as they are.
    """
    programs = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(entry for entry in programs if os.path.isabs(entry))
    os.environ["NODEFAULTCURRENTDIRECTORYINEXEPATH"] = "1"  # or Windows looks there first
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # the folder is gone
        here = ""
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    sys.path[:] = [
        entry
        for entry in sys.path
        if os.path.isabs(entry) and (os.path.realpath(entry) != here or here == home)
    ]


if _is_command():
    forget_current_folder()
