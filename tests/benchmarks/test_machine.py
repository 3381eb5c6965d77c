"""What a process is said to have used."""

import os
import threading
import time

from benchmarks.machine import cpu_seconds, wake_ups

HERE = os.getpid()


def test_what_an_ended_thread_used_is_counted() -> None:
    used = []

    def work() -> None:
        while time.thread_time() < 0.05:
            pass
        used.append(time.thread_time())

    before = cpu_seconds(HERE)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert cpu_seconds(HERE) - before >= used[0]


def test_a_thread_that_ends_meanwhile_is_no_error() -> None:
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            threads = [threading.Thread(target=time.sleep, args=(0.0001,)) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    coming = threading.Thread(target=come_and_go)
    coming.start()
    try:
        assert all(wake_ups(HERE) > 0 for _ in range(300))
    finally:
        done.set()
        coming.join()
