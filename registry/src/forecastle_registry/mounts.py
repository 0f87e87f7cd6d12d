"""Tells which type of file system a path is on, from the text of /proc/mounts."""

from __future__ import annotations

import re
from pathlib import Path

KERNEL = {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
KERNEL |= {"ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "vmhgfs", "wekafs"}
FUSE = {"blobfuse", "blobfuse2", "ceph-fuse", "curlftpfs", "davfs2", "gcsfuse", "goofys", "grpcfuse", "juicefs", "lizardfs"}
FUSE |= {"mfs", "mount-s3", "osxfs", "rclone", "s3fs", "s3ql", "seaweedfs", "smbnetfs", "sshfs", "vmhgfs-fuse"}
NETWORK = frozenset(KERNEL | {f"fuse.{name}" for name in KERNEL | FUSE})


def read_mounts() -> str:
    """Return the text of /proc/mounts, empty where the system has none."""
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def type_of_file_system(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that holds an absolute path, None when no mount covers it.

    `mounts` has a line per mount, `device directory type …`; a later line hides an earlier one of the same directory.
    """
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        directory = Path(_unescaped(fields[1]))
        depth = len(directory.parts)
        if (best is None or depth >= best[0]) and path.is_relative_to(directory):
            best = depth, fields[2]
    return best[1] if best else None


def is_network(kind: str | None) -> bool:
    """Tell whether a type of file system lives on another machine, or is shared with one."""
    return kind in NETWORK


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)
