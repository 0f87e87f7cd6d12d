"""SQLite's file must not lie on another machine; /proc/mounts tells."""

from pathlib import Path

import pytest

from forecastle_registry.mounts import is_network, read_mounts, type_of_file_system

MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/export /mnt/team nfs4 rw,addr=10.0.0.2 0 0
/dev/sdb1 /mnt/team/fast xfs rw 0 0
//nas/share /mnt/with\040space cifs rw 0 0
user@host:/ /mnt/ssh fuse.sshfs rw 0 0
/dev/fuse /mnt/ntfs fuse.ntfs-3g rw 0 0
ceph-fuse /mnt/ceph fuse.ceph-fuse rw 0 0
server:/old /srv nfs rw 0 0
tmpfs /srv tmpfs rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/registry.db", "ext4", False),
        ("/mnt/team/registry.db", "nfs4", True),
        ("/mnt/teammate/registry.db", "ext4", False),
        ("/mnt/team/fast/registry.db", "xfs", False),
        ("/mnt/with space/registry.db", "cifs", True),
        ("/mnt/ssh/a/b/registry.db", "fuse.sshfs", True),
        ("/mnt/ceph/registry.db", "fuse.ceph-fuse", True),
        ("/mnt/ntfs/registry.db", "fuse.ntfs-3g", False),
        ("/srv/registry.db", "tmpfs", False),
    ],
)
def test_the_deepest_and_last_mount_decides(path, kind, network):
    assert type_of_file_system(Path(path), MOUNTS) == kind
    assert is_network(kind) is network


def test_without_mounts_nothing_is_known_and_nothing_refused():
    assert type_of_file_system(Path("/x"), "") is None
    assert not is_network(None)


def test_the_tests_own_directory_is_on_this_machine(tmp_path):
    assert not is_network(type_of_file_system(tmp_path, read_mounts()))
