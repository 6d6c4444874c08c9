"""Disks that fill up: small mounts where that is allowed, else a limit on the size of files."""

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
        """Until the block ends nothing more can be written to it."""
        ...


@dataclass(frozen=True, slots=True)
class MountedDisk(Disk):
    """A file system of its own, which one more file fills."""

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
    """The same for whom may not mount: no file that these processes write may grow."""

    processes: Callable[[], Sequence[int]]

    @contextmanager
    def fill(self) -> Iterator[None]:
        _limit_file_size(self.processes(), "0")
        try:
            yield
        finally:
            _limit_file_size(self.processes(), "unlimited")


@contextmanager
def open_disk(
    folder: Path, megabytes: int, processes: Callable[[], Sequence[int]]
) -> Iterator[Disk]:
    """A disk under `folder`, which nobody but these processes writes to."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "leadport", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield LimitedDisk(processes)
        return
    try:
        yield MountedDisk(folder)
    finally:
        # Lazily: it goes when the last process that holds a file of it is gone.
        unmount = ["umount", "--lazy", str(folder)]
        subprocess.run(unmount, check=True)


def _write_until_full(file: int) -> None:
    free = os.fstatvfs(file).f_bavail * BLOCK_BYTES
    try:
        os.posix_fallocate(file, 0, max(free, 1))
        while True:
            os.write(file, bytes(BLOCK_BYTES))
    except OSError:
        return


def _limit_file_size(processes: Sequence[int], size: str) -> None:
    """As their owner: not even root may do that to others everywhere."""
    for pid in processes:
        with suppress(FileNotFoundError):  # it has ended meanwhile
            owner = Path(f"/proc/{pid}").stat()
            user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
            command = ["prlimit", "--pid", str(pid), f"--fsize={size}:"]
            subprocess.run(command, user=user, group=group, check=False, capture_output=True)
