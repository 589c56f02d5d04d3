"""A shared folder whose hosts see it late, and processes on them that take one step when the test says so.

The server does each operation as a whole. A host keeps what it has looked up (names, lists of names, attributes,
content) for CACHE seconds, as NFS does, and always believes it; so the model is more adverse than NFS. What a host
changes itself it sees at once. A folder that a host has looked up stays the same folder for it, whatever its name is
by now. Times of change are those of the host that made them, and the hosts' clocks are hours apart.
"""

import errno
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

CACHE = 30.0


@dataclass(eq=False)
class Node:
    """A file or a folder of the server."""

    entries: dict[str, "Node"] | None = None  # of a folder
    content: tuple[str, ...] = ()  # of a file
    changed: float = 0.0
    exists: bool = True


class Server:
    """The folder as it is, and the time."""

    def __init__(self):
        self.root, self.now = Node({}), 0.0


class Killed(BaseException):
    """Ends a process of the model: nothing that it does from here on has an effect."""


@dataclass
class Host:
    """What one host believes to see."""

    server: Server
    name: str
    skew: float
    kept: dict = field(default_factory=dict)  # from what was looked up to the answer and its time

    def look(self, key, answer):
        """The answer to a question: as it was, if it was asked less than CACHE seconds ago."""
        if key not in self.kept or self.server.now - self.kept[key][1] >= CACHE:
            self.kept[key] = (answer(), self.server.now)
        return self.kept[key][0]

    def lookup(self, folder, name):
        if folder.entries is None:
            raise OSError(errno.ENOTDIR, name)
        return self.look(("entry", folder, name), lambda: folder.entries.get(name))

    def learns(self, folder, name, node):
        """Note a change that this host has made, or an answer of the server."""
        self.kept["entry", folder, name] = (node, self.server.now)
        names, when = self.kept.get(("names", folder), (None, 0.0))
        if names is not None:
            own = names - {name} if node is None else names | {name}
            self.kept["names", folder] = (own, when)

    def find(self, path):
        node = self.server.root
        for name in Path(path).parts[1:]:
            node = self.lookup(node, name)
            if node is None:
                raise OSError(errno.ENOENT, str(path))
        return node

    def parent(self, path):
        folder = self.find(Path(path).parent)
        if not folder.exists:
            raise OSError(errno.ESTALE, str(path))
        return folder, Path(path).name

    # What the code under test calls, under the names that os has for it.

    def mkdir(self, path):
        folder, name = self.parent(path)
        if self.kept.get(("entry", folder, name), (None, 0))[0] is None or self.lookup(folder, name) is None:
            there = folder.entries.get(name)
            self.learns(folder, name, there or folder.entries.setdefault(name, Node({}, changed=self.clock())))
            if there is None:
                return
        raise OSError(errno.EEXIST, str(path))

    def makedirs(self, path, exist_ok):
        for folder in [*reversed(Path(path).parents), Path(path)][1:]:
            with suppress(FileExistsError):
                self.mkdir(folder)

    def rmdir(self, path):
        folder, name = self.parent(path)
        if self.lookup(folder, name) is None or name not in folder.entries:
            self.learns(folder, name, None)
            raise OSError(errno.ENOENT, str(path))
        if folder.entries[name].entries is None:
            raise OSError(errno.ENOTDIR, str(path))
        if folder.entries[name].entries:
            raise OSError(errno.ENOTEMPTY, str(path))
        folder.entries.pop(name).exists = False
        self.learns(folder, name, None)

    def rename(self, source, target):
        (of_source, old), (of_target, new) = self.parent(source), self.parent(target)
        if self.lookup(of_source, old) is None or old not in of_source.entries:
            self.learns(of_source, old, None)
            raise OSError(errno.ENOENT, str(source))
        node, there = of_source.entries[old], of_target.entries.get(new)
        if there is not None:
            if (there.entries is None) != (node.entries is None):
                raise OSError(errno.ENOTDIR if there.entries is None else errno.EISDIR, str(target))
            if there.entries:
                raise OSError(errno.ENOTEMPTY, str(target))
            there.exists = False
        of_target.entries[new] = of_source.entries.pop(old)
        self.learns(of_source, old, None)
        self.learns(of_target, new, node)

    def listdir(self, path):
        node = self.find(path)
        if node.entries is None:
            raise OSError(errno.ENOTDIR, str(path))
        return sorted(self.look(("names", node), lambda: frozenset(node.entries)))

    def stat(self, path):
        node = self.find(path)
        if not node.exists and ("changed", node) not in self.kept:
            raise OSError(errno.ESTALE, str(path))
        time = self.look(("changed", node), lambda: node.changed)
        return SimpleNamespace(st_mtime=time, st_mtime_ns=int(1e9 * time))

    def utime(self, path):
        node = self.find(path)
        if not node.exists:
            raise OSError(errno.ESTALE, str(path))
        node.changed = self.clock()
        self.kept["changed", node] = (node.changed, self.server.now)

    def isdir(self, path):
        with suppress(OSError):
            return self.find(path).entries is not None
        return False

    def isfile(self, path):
        with suppress(OSError):
            return self.find(path).entries is None
        return False

    def exists(self, path):
        return self.isdir(path) or self.isfile(path)

    def copyfile(self, source, target):
        self.write(target, self.read(source))

    def rmtree(self, path, ignore_errors):
        with suppress(OSError):
            folder, name = self.parent(path)
            node = folder.entries.pop(name, None)
            self.learns(folder, name, None)
            while node is not None and node.entries:
                node.entries.popitem()[1].exists = False
            if node is not None:
                node.exists = False

    # What a run does with its files.

    def read(self, path):
        node = self.find(path)
        return self.look(("content", node), lambda: node.content)

    def write(self, path, content):
        """Write a file beside, and rename it, as `files.write_whole` does: there is a new file, or the old one."""
        folder, name = self.parent(path)
        if folder.entries.get(name) is not None:
            folder.entries[name].exists = False
        folder.entries[name] = Node(None, tuple(content), self.clock())
        self.learns(folder, name, folder.entries[name])

    def append(self, node, line):
        """Append to a file that was opened earlier, under whatever name."""
        node.content = (*node.content, line)
        self.kept["content", node] = (node.content, self.server.now)

    def truncate(self, node, length):
        """Cut a file off, in place."""
        node.content = node.content[:length]
        self.kept["content", node] = (node.content, self.server.now)

    def clock(self):
        """The time of this host."""
        return self.server.now + self.skew


class Process:
    """A process on a host. It stops before each operation on the folder until the test lets it go on."""

    of_thread = threading.local()

    def __init__(self, host, number, program, is_published):
        self.host, self.number, self.is_published = host, number, is_published
        self.killed = self.ended = self.paused = False
        self.claim = self.error = None
        self.seen = {}
        self.may_go, self.stopped = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, args=(program,), daemon=True)
        self.thread.start()
        self.stopped.acquire()

    def _run(self, program):
        Process.of_thread.process = self
        try:
            self.gate()
            program(self)
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        self.ended = True
        self.stopped.release()

    def gate(self):
        """Wait for the test. Every operation comes here first."""
        if not self.killed:
            self.stopped.release()
            self.may_go.acquire()
        if self.killed:
            raise Killed

    def step(self):
        """Let the process do its next operation."""
        if not self.ended:
            self.may_go.release()
            self.stopped.acquire()
        if self.error is not None:
            raise self.error

    def kill(self):
        self.killed = True
        self.step()
        self.thread.join()

    def beat(self):
        """A heartbeat, which a thread of its own sends."""
        if self.claim is not None and not (self.paused or self.ended):
            with suppress(OSError):
                self.host.utime(self.claim.ownership.folder)


class Os:
    """Stands for the modules os, os.path and shutil: the operation of the process that calls it, on its host."""

    def __getattr__(self, name):
        if name == "path":
            return self
        process = Process.of_thread.process
        operation = getattr(process.host, name)

        def gated(*arguments, **further):
            process.gate()
            return operation(*arguments, **further)

        return gated
