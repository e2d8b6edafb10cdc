"""Which files an input has: real folders with every name that a file system allows."""

import os
import socket
from pathlib import Path

import pytest

from batchpoint.errors import CancelRequested, InputUnreadable
from batchpoint.storage.listing import glob_filter, list_file, list_folder


def make(root: Path, *names: bytes | str) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass


def test_files_come_in_the_order_of_their_bytes_whatever_their_names(tmp_path: Path) -> None:
    names = [
        b"a b",
        b"a\nb",
        b"a/z",
        b"a-z",
        b"\xff\xfe",
        "\N{GRINNING FACE}".encode(),
        "é".encode(),
        b"-rf",
        b"'\"$`",
        b"B",
        b" ",
    ]
    make(tmp_path, *names)
    listing = list_folder(tmp_path)
    assert listing.items == sorted(names)
    assert listing.root == str(tmp_path)
    assert all(os.path.exists(os.path.join(os.fsencode(listing.root), item)) for item in listing.items)


def test_names_with_a_dot_or_an_underscore_in_front_are_passed_over_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", ".hidden", "_SUCCESS", "_logs/x", "_logs/y", "sub/.z", "sub/b.txt")
    listing = list_folder(tmp_path)
    assert listing.items == [b"a.txt", b"sub/b.txt"]
    assert listing.hidden == 4


def test_a_hidden_root_is_listed_all_the_same(tmp_path: Path) -> None:
    make(tmp_path, ".data/a", "_out/b")
    assert list_folder(tmp_path / ".data").items == [b"a"]
    assert list_folder(tmp_path / "_out").items == [b"b"]


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    make(tmp_path, "in/a", "in/sub/b", "elsewhere/c")
    os.symlink("../elsewhere", tmp_path / "in/link")
    os.symlink("a", tmp_path / "in/also_a")
    os.symlink("..", tmp_path / "in/sub/up")
    os.symlink(".", tmp_path / "in/self")
    os.symlink("../in", tmp_path / "elsewhere/back")
    listing = list_folder(tmp_path / "in")
    assert listing.items == [b"a", b"also_a", b"link/c", b"sub/b"]
    assert listing.loops == 3


def test_a_link_to_nothing_stays_an_item_so_that_it_is_noticed(tmp_path: Path) -> None:
    os.symlink("gone", tmp_path / "broken")
    os.symlink("circle", tmp_path / "circle")
    assert list_folder(tmp_path).items == [b"broken", b"circle"]


def test_a_linked_root_is_listed_under_its_own_name(tmp_path: Path) -> None:
    make(tmp_path, "real/a")
    os.symlink("real", tmp_path / "link")
    listing = list_folder(tmp_path / "link")
    assert (listing.root, listing.items) == (str(tmp_path / "link"), [b"a"])


def test_what_would_block_a_reader_is_passed_over_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "link_to_pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        listing = list_folder(tmp_path)
    assert listing.items == [b"a"]
    assert listing.special == 3


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.png"], [], ["a.png", "x/b.png", "x/y/c.png", "x/y/line\nbreak.png"]),
        (["x/*.png"], [], ["x/b.png"]),
        (["x/**"], [], ["x/b.png", "x/d.txt", "x/y/c.png", "x/y/line\nbreak.png"]),
        (["**/y/*"], [], ["x/y/c.png", "x/y/line\nbreak.png"]),
        (["x/**/*.png"], [], ["x/b.png", "x/y/c.png", "x/y/line\nbreak.png"]),
        (["/a.png"], [], ["a.png"]),
        (["[ab].png"], [], ["a.png", "x/b.png"]),
        (["[!ab].png"], [], ["x/y/c.png"]),
        (["?.txt", "a.*"], [], ["a.png", "x/d.txt"]),
        ([], ["y/"], ["a.png", "x/b.png", "x/d.txt", "[1].csv"]),
        ([], ["x/"], ["a.png", "[1].csv"]),
        (["*.png"], ["x/y/**"], ["a.png", "x/b.png"]),
        (["[[]1].csv"], [], ["[1].csv"]),
        (["**"], ["*.png"], ["x/d.txt", "[1].csv"]),
    ],
)
def test_globs_choose_by_name_or_by_path(
    tmp_path: Path, include: list[str], exclude: list[str], expected: list[str]
) -> None:
    everything = ["a.png", "x/b.png", "x/d.txt", "x/y/c.png", "x/y/line\nbreak.png", "[1].csv"]
    make(tmp_path, *everything)
    listing = list_folder(tmp_path, include, exclude)
    assert listing.items == sorted(map(os.fsencode, expected))
    assert listing.filtered == len(everything) - len(expected)


def test_a_question_mark_stands_for_one_character_not_one_byte(tmp_path: Path) -> None:
    make(tmp_path, "é.txt", b"\xff.txt")
    assert len(list_folder(tmp_path, ["?.txt"])) == 2


def test_a_glob_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match=r"\[z-a\]"):
        list_folder(tmp_path, ["[z-a]"])


def test_an_empty_folder_is_an_empty_list(tmp_path: Path) -> None:
    assert len(list_folder(tmp_path)) == 0


def test_a_deep_tree_of_thousands_of_files_is_listed_whole(tmp_path: Path) -> None:
    deep = "/".join("d" * 20 for _ in range(60))
    names = [f"{deep}/{number:04d}" for number in range(1500)] + [f"{number:04d}" for number in range(1500)]
    make(tmp_path, *names)
    assert list_folder(tmp_path).items == sorted(map(os.fsencode, names))


def test_a_missing_input_a_wrong_kind_and_a_broken_link_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, "file", "folder/x")
    os.symlink("gone", tmp_path / "link")
    for call, path, told in [
        (list_folder, "nowhere", "does not exist"),
        (list_folder, "file", "--input-type uri_file"),
        (list_folder, "link", "symbolic link to gone"),
        (list_file, "nowhere", "does not exist"),
        (list_file, "folder", "--input-type uri_folder"),
        (list_file, "file/below", "Not a directory"),
    ]:
        with pytest.raises(InputUnreadable, match=told) as raised:
            call(tmp_path / path)
        assert str(tmp_path / path) in raised.value.message


def test_one_file_is_a_list_of_one_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, "_hidden.csv")
    listing = list_file(tmp_path / "_hidden.csv")
    assert (listing.root, listing.items) == (str(tmp_path), [b"_hidden.csv"])


def test_a_folder_below_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    # Also for root, whom permissions do not stop: a path that is longer than the system takes.
    long = tmp_path
    make(tmp_path, "a")
    descriptor = os.open(long, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("e" * 250, dir_fd=descriptor)
            below = os.open("e" * 250, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    finally:
        os.close(descriptor)
    with pytest.raises(InputUnreadable, match=r"eeee.* cannot be read: File name too long"):
        list_folder(tmp_path)


def test_whoever_lists_is_asked_folder_by_folder_whether_the_list_is_still_wanted(tmp_path: Path) -> None:
    make(tmp_path, "a/1", "b/2", "c/3")
    asked = []

    def still_wanted() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise CancelRequested

    with pytest.raises(CancelRequested):
        list_folder(tmp_path, still_wanted=still_wanted)
    assert len(asked) == 3


def test_a_pattern_of_many_stars_is_looked_for_once() -> None:
    keep = glob_filter(["*a" * 20 + "b", "x*[0-9]*.c?v"], [])
    assert not keep("a" * 200)
    assert keep("a" * 200 + "b")
    assert keep("deep/x-1.2.csv")
    assert keep("x1.csv.cxv")
    assert not keep("x.csv")
