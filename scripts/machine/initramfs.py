# SPDX-License-Identifier: GPL-2.0
"""The machine's root file system: a cpio archive in the "newc" format."""

from __future__ import annotations

from pathlib import Path

_REGULAR, _DIRECTORY, _SYMLINK = 0o100000, 0o040000, 0o120000


class Initramfs:
    """Collects files and renders them; directories appear by themselves."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}
        for name in ("proc", "sys", "dev", "tmp", "bin"):
            self._add_directory(name)

    def add(self, path: str, data: bytes, mode: int = 0o755) -> None:
        """Put a file at the absolute path PATH."""
        name = path.lstrip("/")
        for parent in reversed(Path(name).parents[:-1]):
            self._add_directory(str(parent))
        self._entries[name] = (_REGULAR | mode, data)

    def add_symlink(self, path: str, target: str) -> None:
        """Put a symbolic link at PATH."""
        self._entries[path.lstrip("/")] = (_SYMLINK | 0o777, target.encode())

    def names(self) -> list[str]:
        """All paths, without the leading slash."""
        return list(self._entries)

    def render(self) -> bytes:
        """The archive."""
        parts = []
        entries = [*self._entries.items(), ("TRAILER!!!", (0, b""))]
        for inode, (name, (mode, data)) in enumerate(entries, start=1):
            parts.append(_header(inode, mode, len(data), len(name) + 1))
            parts.append(_padded(name.encode() + b"\0", offset=110))
            parts.append(_padded(data))
        return b"".join(parts)

    def _add_directory(self, name: str) -> None:
        self._entries.setdefault(name, (_DIRECTORY | 0o755, b""))


def _header(inode: int, mode: int, size: int, name_size: int) -> bytes:
    links = 2 if mode & _DIRECTORY == _DIRECTORY else 1
    fields = (inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0)
    return b"070701" + b"".join(b"%08X" % field for field in fields)


def _padded(data: bytes, offset: int = 0) -> bytes:
    return data + b"\0" * (-(len(data) + offset) % 4)
