"""A disk of a few pages for one script: a tmpfs in a mount namespace of its own (Linux)."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def on_small_disk(
    script: str, mount: Path, env: Mapping[str, str], kibibytes: int
) -> subprocess.CompletedProcess[str]:
    """Run a shell script that sees a small disk at ``mount``; ``grow`` in it makes that larger.

    ``full`` fills the disk to the last byte, ``read_only`` lets nobody write to it.

    Skips the test where the system doesn't allow such mounts.
    """
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, of Linux")
    mount.mkdir(exist_ok=True)
    private = ["unshare", "--map-root-user", "--mount", "bash", "-uc"]
    mounted = f"mount -t tmpfs -o size={kibibytes}k,mode=700 tmpfs '{mount}'"
    if subprocess.run([*private, mounted], capture_output=True, check=False).returncode != 0:
        pytest.skip("this system allows no mounts in a namespace of one's own")
    commands = f"""
        grow() {{ mount -o remount,size=100m '{mount}'; rm -f '{mount}/ballast'; }}
        full() {{ dd if=/dev/zero of='{mount}/ballast' bs=4k 2>/dev/null; true; }}
        read_only() {{ mount -o remount,ro '{mount}'; }}
        {mounted} || exit 99
        {script}
    """
    return subprocess.run(
        [*private, commands],
        env=dict(env),
        cwd=mount.parent,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
