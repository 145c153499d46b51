"""Where a journal may live: on a disk of this machine, readable by its owner alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from batchrun.errors import JournalError, parameter

# SQLite's write-ahead log needs memory shared by all that have the file open, and locks that
# hold: https://www.sqlite.org/wal.html#noshm, https://www.sqlite.org/howtocorrupt.html
_NETWORK_FILESYSTEMS = frozenset(
    {
        *("afs", "afpfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "smb3", "smbfs", "webdav"),
        *("fuse.davfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_MAC_MOUNT = re.compile(r".+ on (?P<point>/.*) \((?P<kind>\w+)[,)].*")
_MOUNTS = Path("/proc/self/mounts")
_WINDOWS_REMOTE_DRIVE = 4  # DRIVE_REMOTE of GetDriveTypeW


def prepare(path: Path) -> None:
    """Make the journal's folder and file, never readable by others, not even for a moment.

    Raises:
        JournalError: It would live on a network drive.
        OSError: It can't be made there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    filesystem = network_filesystem(path.parent.resolve())
    if filesystem is not None:
        raise JournalError(
            f"The journal {path} would live on a network drive ({filesystem}), where SQLite can't "
            "promise that what is committed stays.",
            f"Name one on a disk of this machine with {parameter('journal')} or BATCHRUN_JOURNAL.",
        )
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def network_filesystem(folder: Path) -> str | None:
    """The name of the network file system a folder is on; ``None`` for a disk of this machine."""
    if sys.platform == "win32":
        import ctypes

        remote = ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == _WINDOWS_REMOTE_DRIVE
        return "network share" if remote else None
    if sys.platform == "darwin":
        return mac_network_mount(_mac_mounts(), folder)
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None  # no such list on this system
    return network_mount(mounts, folder)


def _mac_mounts() -> str:
    try:
        told = subprocess.run(
            ["/sbin/mount"], capture_output=True, timeout=5, check=False, encoding="utf-8"
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return told.stdout


def mac_network_mount(mounts: str, folder: Path) -> str | None:
    """As `network_filesystem`, from what macOS' ``mount`` prints. Pure."""
    lines = (_MAC_MOUNT.fullmatch(line) for line in mounts.splitlines())
    found = [(Path(line["point"]), line["kind"]) for line in lines if line]
    around = [(point, kind) for point, kind in found if folder.is_relative_to(point)]
    if not around:
        return None
    _, kind = max(around, key=lambda each: len(each[0].parts))
    return kind if kind in _NETWORK_FILESYSTEMS else None


def network_mount(mounts: str, folder: Path) -> str | None:
    """As `network_filesystem`, from a list of mounts as Linux gives it. Pure."""
    deepest, found = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), fields[2]
    return found if found in _NETWORK_FILESYSTEMS else None
