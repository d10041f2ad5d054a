"""The disk cache of compiled code: private, bounded, and never trusted when damaged."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from tapeflow.base import flags
from tapeflow.compile import cache as cache_module
from tapeflow.compile import jit, llvm
from tapeflow.compile.cache import DIGEST, Cache, key_of
from tapeflow.compile.host import host
from tapeflow.compile.jit import compile_text

TEXT = "define i64 @add{0}(i64 %x) {{ %y = add i64 %x, {0}  ret i64 %y }}"


def call(number, text=TEXT):
    """Compile and call a function that adds a number."""
    code = compile_text(text.format(number), [f"add{number}"])
    return code.function(f"add{number}", ctypes.c_int64, result=ctypes.c_int64)(1)


@pytest.fixture
def folder(tmp_path):
    with flags.using(TAPEFLOW_CACHE=str(tmp_path / "cache")):
        yield tmp_path / "cache"


def entries(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_second_compilation_reads_the_first(folder, monkeypatch):
    assert call(1) == 2
    assert len(entries(folder)) == 1
    monkeypatch.setattr(jit, "_emit", lambda *_: pytest.fail("compiled again"))
    assert call(1) == 2


def test_the_folder_is_the_users_alone(folder):
    call(1)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_every_instruction_set_has_its_entry(folder):
    call(1)
    if host().arch == "x86_64":
        with flags.using(TAPEFLOW_ISA="sse"):
            assert call(1) == 2
        assert len(entries(folder)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:DIGEST],
        lambda data: data[: DIGEST + 8] + bytes([data[DIGEST + 8] ^ 1]) + data[DIGEST + 9 :],
        lambda data: bytes(DIGEST) + data[DIGEST:],
        lambda data: b"x" * len(data),
    ],
)
def test_a_damaged_entry_is_compiled_again(folder, damage):
    assert call(1) == 2
    (path,) = entries(folder)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert call(1) == 2
    assert path.read_bytes() == good


def test_a_renamed_entry_is_a_miss(folder):
    call(1)
    (path,) = entries(folder)
    store = Cache(folder)
    path.rename(folder / "other")
    assert store.get("other") is None


def test_a_sound_entry_that_does_not_link_is_compiled_again(folder):
    key = key_of(TEXT.format(1), host().cpu, host().features, str(jit.LEVEL), llvm.version())
    Cache(folder).put(key, b"no object file")
    assert call(1) == 2


def test_a_folder_that_others_may_write_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="others may write"):
        store = Cache(folder)
    store.put("key", b"code")
    assert store.get("key") is None and not list(folder.iterdir())


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match="belongs to user"):
        assert not Cache(tmp_path / "theirs").usable


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="cannot be made"), flags.using(TAPEFLOW_CACHE=str(tmp_path / "file/below")):
        assert call(3) == 4


def test_no_folder_no_cache():
    with flags.using(TAPEFLOW_CACHE=""):
        assert cache_module.cache() is None and call(5) == 6


def test_the_longest_unused_entries_go_first(tmp_path):
    store = Cache(tmp_path, limit=3 * (100 + DIGEST))
    for number in range(5):
        store.put(f"key{number}", bytes(100))
        os.utime(tmp_path / f"key{number}", (number, number))
    store.get("key0")  # used just now
    store.clean()
    assert sorted(path.name for path in entries(tmp_path)) == ["key0", "key3", "key4"]


def test_what_killed_writers_left_is_removed(tmp_path):
    store = Cache(tmp_path)
    (tmp_path / ".old").write_bytes(b"half")
    (tmp_path / ".new").write_bytes(b"half")
    os.utime(tmp_path / ".old", (1, 1))
    store.clean()
    assert [path.name for path in tmp_path.iterdir()] == [".new"]


WRITER = """
import sys, tapeflow.compile.cache as c
store = c.Cache(sys.argv[1])
while True:
    for number in range(20):
        key = f"key{number}"
        found = store.get(key)
        assert found is None or found == key.encode() * 5000, "a torn entry was read"
        store.put(key, key.encode() * 5000)
    print("turn", flush=True)
"""


def test_two_writers_at_once_and_one_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    try:
        for writer in writers:
            writer.stdout.readline()
        time.sleep(0.3)
        writers[0].send_signal(signal.SIGKILL)
        time.sleep(0.3)
        assert [writer.poll() for writer in writers[1:]] == [None, None]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    store = Cache(tmp_path)
    for path in entries(tmp_path):
        assert store.get(path.name) == path.name.encode() * 5000


def test_a_key_depends_on_where_its_parts_end():
    assert key_of("ab", "c") != key_of("a", "bc")


def test_code_is_freed_with_its_last_holder(monkeypatch):
    freed = []
    unload = llvm._unload

    def count(tracker):
        freed.append(tracker)
        unload(tracker)

    monkeypatch.setattr(llvm, "_unload", count)
    code = compile_text(TEXT.format(9), ["add9"])
    function = code.function("add9", ctypes.c_int64, result=ctypes.c_int64)
    del code
    assert function(1) == 10 and not freed  # the callable holds it
    del function
    assert len(freed) == 1
