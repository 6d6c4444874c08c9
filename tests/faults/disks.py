"""Disks that tests can fill: small tmpfs mounts under root, otherwise a limit on file sizes."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BLOCK_BYTES = 4096


class Disk(Protocol):
    def fill(self) -> AbstractContextManager[None]:
        """Leave no room on the disk until the block ends."""
        ...


@dataclass(frozen=True, slots=True)
class MountedDisk(Disk):
    """A file system of its own, which `fill` fills with a file."""

    folder: Path

    @contextmanager
    def fill(self) -> Iterator[None]:
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                _write_until_full(file.fileno())
            yield
        finally:
            ballast.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class LimitedDisk(Disk):
    """A stand-in without the right to mount: no file that the processes write may grow."""

    list_processes: Callable[[], Sequence[int]]

    @contextmanager
    def fill(self) -> Iterator[None]:
        _limit_file_size(self.list_processes(), "0")
        try:
            yield
        finally:
            _limit_file_size(self.list_processes(), "unlimited")


@contextmanager
def open_disk(
    folder: Path, megabytes: int, list_processes: Callable[[], Sequence[int]]
) -> Iterator[Disk]:
    """Mount a disk on `folder` until the block ends; only the listed processes write to it."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "leadport", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield LimitedDisk(list_processes)
        return
    try:
        yield MountedDisk(folder)
    finally:
        # `--lazy` detaches the mount now and frees it when the last process has closed its files.
        unmount = ["umount", "--lazy", str(folder)]
        subprocess.run(unmount, check=True)


def _write_until_full(file: int) -> None:
    free_bytes = os.fstatvfs(file).f_bavail * BLOCK_BYTES
    try:
        os.posix_fallocate(file, 0, max(free_bytes, 1))
        while True:
            os.write(file, bytes(BLOCK_BYTES))
    except OSError:
        return


def _limit_file_size(processes: Sequence[int], size: str) -> None:
    """Set the limit as each process's owner: not every system lets root limit other accounts."""
    for pid in processes:
        with suppress(FileNotFoundError):  # the process has ended
            owner = Path(f"/proc/{pid}").stat()
            user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
            command = ["prlimit", "--pid", str(pid), f"--fsize={size}:"]
            subprocess.run(command, user=user, group=group, check=False, capture_output=True)
