"""test_processes.py runs this: it creates children with one form of fork, while four threads end spans. Arguments: the
form, and when tracing is configured: before the fork, or after it in each child."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import telemetry

CHILDREN = 3
PROGRAM = [sys.executable, str(Path(__file__).with_name("makes_spans.py"))]


def configure() -> None:
    after = os.environ["CONFIGURED"] == "after"
    if telemetry.provider() is None or (after and not telemetry.configured_here()):
        telemetry.configure()


def child() -> None:
    telemetry.begin_child()
    configure()
    telemetry.end_spans(5)


def fork(function: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        function()
        sys.exit()  # a normal exit, without a flush
    return pid


def fork_to_os_exit(function: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            telemetry.flush()  # os._exit drops the queue
            status = 0
        finally:
            os._exit(status)
    return pid


def os_fork() -> None:
    telemetry.wait_for([fork(child) for _ in range(CHILDREN)])


def os_fork_to_os_exit() -> None:
    telemetry.wait_for([fork_to_os_exit(child) for _ in range(CHILDREN)])


def os_fork_and_exec() -> None:
    def at_once() -> None:
        os.execv(PROGRAM[0], PROGRAM)

    def later() -> None:
        child()
        telemetry.flush()  # exec drops the queue, too
        telemetry.note_connections_for_children()
        os.execv(PROGRAM[0], PROGRAM)

    telemetry.wait_for([fork(at_once), fork(later)])


def os_fork_in_a_thread() -> None:
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.extend(fork_to_os_exit(child) for _ in range(CHILDREN)))
    thread.start()
    thread.join()
    assert len(pids) == CHILDREN
    telemetry.wait_for(pids)


def os_fork_of_a_fork() -> None:
    """Five generations, each of which has a connection when it forks the next one."""

    def generation(number: int) -> None:
        child()
        telemetry.flush()
        held = telemetry.connections()
        telemetry.record("generation", number=number, connections=len(held), held=telemetry.lasting_descriptors())
        if number < 5:
            os.environ["CONNECTIONS"] += " " + " ".join(held)
            telemetry.wait_for([fork(lambda: generation(number + 1))])
            assert held == telemetry.connections(), "a child lost its connection by its fork"
            telemetry.end_spans(2)

    telemetry.wait_for([fork(lambda: generation(1))])


def os_fork_in_a_signal_handler() -> None:
    """The signal arrives while the main thread flushes; every second child continues the interrupted code."""
    pids: list[int] = []
    here = os.getpid()

    def handler(*_: object) -> None:
        if os.getpid() == here:
            pids.append(fork_to_os_exit(child) if len(pids) % 2 else os.fork())
            if pids[-1] == 0:
                child()

    def interrupt() -> None:
        for number in range(2 * CHILDREN):
            os.kill(here, signal.SIGUSR1)
            while len(pids) <= number:  # one at a time, because a handler may be interrupted, too
                time.sleep(0.005)
            time.sleep(0.03)

    signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    while thread.is_alive():
        telemetry.flush()
    if os.getpid() != here:
        sys.exit()
    telemetry.wait_for(pids)


def double_fork() -> None:
    """A classic daemon: its own session, no parent, and no inherited descriptors."""
    reading, writing = os.pipe()

    def daemon() -> None:
        signal.alarm(telemetry.PROCESS_SECONDS)
        highest = max(map(int, os.listdir("/proc/self/fd")))
        os.closerange(3, writing)
        os.closerange(writing + 1, highest + 1)
        # The daemon's own files now have the descriptor numbers of the parent's connections.
        files = [open("/dev/zero", "rb", buffering=0) for _ in range(highest)]  # noqa: SIM115
        child()
        telemetry.flush()
        telemetry.end_spans(2)
        assert all(file.read(1) == b"\0" for file in files), "one of the daemon's own files was closed"

    def leader() -> None:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        daemon()

    telemetry.wait_for([fork(leader)])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        pipe.read()  # waits for the end of the daemon, for which waitpid does not work


def subprocess_forms() -> None:
    def preparation() -> None:
        child()
        telemetry.flush()

    for preexec_fn in (None, preparation):
        for close_fds in (True, False):
            done = subprocess.run(PROGRAM, preexec_fn=preexec_fn, close_fds=close_fds, timeout=30)
            assert done.returncode == 0


def pool_child(_: int) -> int:
    if not hasattr(pool_child, "begun"):
        pool_child.begun = True
        telemetry.begin_child()
    configure()
    telemetry.end_spans(2)
    return os.getpid()


def process(method: str) -> None:
    context = multiprocessing.get_context(method)
    if method == "forkserver" and os.environ["CONFIGURED"] == "before":
        context.set_forkserver_preload(["preloaded"])
    children = [context.Process(target=child) for _ in range(CHILDREN)]
    for each in children:
        each.start()
    for each in children:
        each.join()
    assert [each.exitcode for each in children] == [0] * CHILDREN


def process_in_a_thread() -> None:
    thread = threading.Thread(target=process, args=("fork",))
    thread.start()
    thread.join()


def process_with_threads() -> None:
    """The child's function returns while its threads still end spans; multiprocessing waits for the threads."""
    each = multiprocessing.get_context("fork").Process(target=child_with_threads)
    each.start()
    each.join()
    assert each.exitcode == 0


def child_with_threads() -> None:
    child()

    def later() -> None:
        for _ in range(5):
            time.sleep(0.02)
            telemetry.end_span("a thread's")

    threading.Thread(target=later).start()


def process_that_raises() -> None:
    children = [multiprocessing.get_context("fork").Process(target=child_that_raises, args=(how,)) for how in ENDS]
    for each in children:
        each.start()
    for each in children:
        each.join()
    assert [each.exitcode for each in children] == list(ENDS.values())


def child_that_raises(how: type[BaseException]) -> None:
    child()
    raise how(3)


# The exception raised in a child, and the child's exit code.
ENDS = {SystemExit: 3, ValueError: 1, KeyboardInterrupt: 1}


def pool(method: str) -> None:
    with multiprocessing.get_context(method).Pool(2, maxtasksperchild=2) as pool:
        pool.map(pool_child, range(8), chunksize=1)
        pool.close()
        pool.join()


def pool_that_is_terminated() -> None:
    """As in most programs, the end of the block sends SIGTERM to the workers."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(pool_child, range(8), chunksize=1)


def executor(method: str | None) -> None:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context if method else None) as executor:
        assert os.getpid() not in set(executor.map(pool_child, range(8)))


FORMS: dict[str, Callable[[], None]] = {
    "os.fork": os_fork,
    "os.fork, os._exit": os_fork_to_os_exit,
    "os.fork, os.execv": os_fork_and_exec,
    "os.fork in a thread": os_fork_in_a_thread,
    "os.fork of a fork": os_fork_of_a_fork,
    "os.fork in a signal handler": os_fork_in_a_signal_handler,
    "double fork": double_fork,
    "subprocess": subprocess_forms,
    **{f"Process, {method}": lambda method=method: process(method) for method in ("fork", "forkserver", "spawn")},
    "Process in a thread": process_in_a_thread,
    "Process with threads": process_with_threads,
    "Process that raises": process_that_raises,
    **{f"Pool, {method}": lambda method=method: pool(method) for method in ("fork", "forkserver", "spawn")},
    "Pool, terminated": pool_that_is_terminated,
    "ProcessPoolExecutor": lambda: executor(None),
    "ProcessPoolExecutor, spawn": lambda: executor("spawn"),
}

if __name__ == "__main__":
    form, os.environ["CONFIGURED"] = sys.argv[1:]
    telemetry.configure()
    load = telemetry.Load()
    FORMS[form]()
    load.end()
