"""Each item that failed stands in a file, with its cause; and what a job read, ran and wrote in its manifest."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from batchpoint.entities.job import FAILED_ITEMS_PATH, JobStatus
from batchpoint.storage.content import store_content
from batchpoint.storage.published import recall
from tests.process.engine_jobs import Ended, Engine, eventually, good

#: Fails by the name of its file in ten ways, each with a cause of its own.
TEN_WAYS = """\
import os, signal, time
def init(): pass
def first(path): raise ValueError("cannot read " + path)
def second(path): raise ValueError("cannot parse " + path)
def third(path): raise KeyError(path)
def fourth(path): return [][len(path)]
def fifth(path): return None.attribute
def sixth(path):
    try: third(path)
    except KeyError as error: raise RuntimeError("nested " + path) from error
def seventh(path): os.kill(os.getpid(), signal.SIGSEGV)
def eighth(path): os._exit(3)
def ninth(path): time.sleep(60)
def tenth(path): return "\\ud800"
WAYS = [first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth]
def run(paths):
    results = []
    for path in paths:
        number = int(os.path.basename(path)[:3])
        if "bad" in path: results.append(WAYS[number % 10](path))
        else: results.append(os.path.basename(path))
    return results
"""


def letters(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def beside(ended: Ended) -> Path:
    return ended.output.parent / "failed_items.jsonl"


def manifest(ended: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.folder.manifest.read_bytes())
    return found


def test_ten_kinds_of_faults_are_ten_causes_with_exact_counts(engine: Engine) -> None:
    # Way n fails once for each digit of its own: 1, 2 or 3 items.
    bad = [way + 10 * turn for way in range(10) for turn in range(1 + (way + 1) % 3)]
    ended = engine.run(
        engine.script(TEN_WAYS),
        engine.items(30, bad=bad),
        mini_batch_size=5,
        max_retries=1,
        timeout_s=1.5,
        max_concurrency_per_instance=2,
    )
    assert ended.status is JobStatus.COMPLETED, ended.job.error
    assert ended.lines == [f"{number:03}.txt" for number in range(30) if number not in bad]
    found = letters(beside(ended))
    assert [letter["index"] for letter in found] == sorted(bad)
    causes = {letter["fingerprint"] for letter in found}
    assert len(causes) == 10
    for way in range(10):
        assert len({letter["fingerprint"] for letter in found if letter["index"] % 10 == way}) == 1
    groups = {reason.fingerprint: reason for reason in ended.job.failures}
    assert groups.keys() == causes
    for letter in found:
        group = groups[letter["fingerprint"]]
        assert group.items == 1 + (letter["index"] % 10 + 1) % 3
        first = min(one["index"] for one in found if one["fingerprint"] == letter["fingerprint"])
        assert group.example.endswith(f"{first:03}-bad.txt")
    types = {letter["index"] % 10: (letter["code"], letter["error_type"]) for letter in found}
    assert types[0] == ("ScriptRaised", "ValueError") and types[5] == ("ScriptRaised", "RuntimeError")
    assert types[6] == ("WorkerCrashed", "") and types[8] == ("MiniBatchTimeout", "")


def test_a_letter_says_what_failed_where_and_why(engine: Engine) -> None:
    ended = engine.run("raises_in_run.py", engine.items(5, bad=[3]), mini_batch_size=2, max_retries=2)
    (letter,) = letters(beside(ended))
    assert list(letter) == "item index mini_batch attempts code error_type message fingerprint".split()
    assert (letter["item"], letter["index"], letter["mini_batch"]) == ("003-bad.txt", 3, 1)
    assert (letter["code"], letter["error_type"]) == ("ScriptRaised", "ValueError")
    assert letter["fingerprint"] == ended.reason.fingerprint
    assert letter["message"] == ended.reason.message
    assert ended.job.properties[FAILED_ITEMS_PATH] == str(beside(ended))
    assert "failed_items.jsonl" in recall(ended.folder)
    assert ended.folder.failed_items.read_bytes() == beside(ended).read_bytes()


def test_a_job_without_failures_leaves_no_letters(engine: Engine) -> None:
    ended = engine.run("good.py", engine.items(3))
    assert not beside(ended).exists() and not ended.folder.failed_items.exists()
    assert FAILED_ITEMS_PATH not in ended.job.properties
    assert manifest(ended)["failed_items"] is None


def test_names_that_are_no_text_can_be_turned_back(engine: Engine) -> None:
    names = [b"caf\xe9-bad.txt", "é-bad.txt".encode(), b"good.txt"]
    ended = engine.run("raises_in_run.py", engine.files(names), mini_batch_size=1, max_retries=1)
    by_name = {letter["item"]: letter for letter in letters(beside(ended))}
    assert by_name.keys() == {"caf\\xe9-bad.txt", "é-bad.txt"}
    assert base64.b64decode(by_name["caf\\xe9-bad.txt"]["item_base64"]) == names[0]
    assert "item_base64" not in by_name["é-bad.txt"]


def test_too_few_results_are_one_letter_for_the_mini_batch(engine: Engine) -> None:
    text = "def init(): pass\ndef run(paths): return paths[1:] if len(paths) > 1 else paths"
    ended = engine.run(engine.script(text), engine.items(5), mini_batch_size=4)
    (letter,) = letters(beside(ended))
    assert (letter["item"], letter["items"], letter["code"]) == (None, 4, "TooFewResults")
    assert (letter["missing"], letter["mini_batch"]) == (1, 0)


def test_items_that_got_no_results_at_all_are_named(engine: Engine) -> None:
    text = "def init(): pass\ndef run(paths): return [path for path in paths if 'bad' not in path]"
    ended = engine.run(engine.script(text), engine.items(4, bad=[1, 2, 3]), mini_batch_size=2)
    found = [(letter["item"], letter.get("items"), letter["index"]) for letter in letters(beside(ended))]
    assert found == [(None, 2, 0), ("002-bad.txt", None, 2), ("003-bad.txt", None, 3)]
    assert {letter["code"] for letter in letters(beside(ended))} == {"TooFewResults"}


def test_without_isolation_every_item_of_the_mini_batch_has_a_letter(engine: Engine) -> None:
    ended = engine.run(
        "raises_in_run.py", engine.items(6, bad=[3]), mini_batch_size=3, max_retries=1, isolate_failures=False
    )
    assert [letter["index"] for letter in letters(beside(ended))] == [3, 4, 5]


def test_the_file_of_a_stranger_is_left_alone(engine: Engine) -> None:
    out = engine.outside / "out" / "job"
    out.mkdir(parents=True)
    (out / "failed_items.jsonl").write_text("mine")
    ended = engine.run("raises_in_run.py", engine.items(3, bad=[1]), mini_batch_size=1, max_retries=1)
    assert beside(ended).read_text() == "mine"
    assert [letter["index"] for letter in letters(out / "job.failed_items.jsonl")] == [1]
    assert ended.job.properties[FAILED_ITEMS_PATH] == str(out / "job.failed_items.jsonl")
    assert recall(ended.folder) == ["job.failed_items.jsonl", "predictions.csv"]


def test_an_output_of_that_name_keeps_it(engine: Engine) -> None:
    taken = {"output_file_name": "failed_items.jsonl"}
    ended = engine.run("raises_in_run.py", engine.items(3, bad=[1]), mini_batch_size=1, max_retries=1, **taken)
    assert ended.lines == good(["000.txt", "002.txt"])
    assert [letter["index"] for letter in letters(ended.output.parent / "job.failed_items.jsonl")] == [1]
    assert recall(ended.folder) == ["failed_items.jsonl", "job.failed_items.jsonl"]


def test_a_later_job_does_not_score_the_letters_of_an_earlier_one(engine: Engine) -> None:
    source = engine.items(3, bad=[1])
    settings = {"mini_batch_size": 1, "max_retries": 1, "output_folder": str(source)}
    engine.run("raises_in_run.py", source, **settings)
    assert (source / "failed_items.jsonl").exists()
    again = engine.run("raises_in_run.py", source, name="again", mini_batch_size=1, max_retries=1)
    assert again.progress.items == 3


def test_a_failed_job_keeps_its_letters_in_its_own_folder(engine: Engine) -> None:
    ended = engine.run(
        "raises_in_run.py", engine.items(4, bad=[0]), mini_batch_size=1, max_retries=1, error_threshold=0
    )
    assert ended.status is JobStatus.FAILED
    assert [letter["index"] for letter in letters(ended.folder.failed_items)] == [0]
    assert not (engine.outside / "out" / "job" / "failed_items.jsonl").exists()
    told = manifest(ended)
    assert (told["status"], told["output"], told["counts"]["items_failed"]) == ("Failed", None, 1)
    assert told["failed_items"]["path"] == str(ended.folder.failed_items)


def test_the_manifest_says_what_was_read_run_and_written(engine: Engine, scripts: Path) -> None:
    source = engine.items(4, bad=[2])
    stored = store_content(scripts, engine.home / "datastores" / "workspaceblobstore")
    code = engine.home / "datastores" / "workspaceblobstore" / stored.path
    ended = engine.run(
        code / "raises_in_run.py", source, mini_batch_size=2, max_retries=1, environment={"SECRET": "open sesame"}
    )
    told = manifest(ended)
    assert told["schema_version"] == 2
    assert (told["job"], told["revision"], told["status"]) == ("job", 0, "Completed")
    assert told["output"]["sha256"] == hashlib.sha256(ended.output.read_bytes()).hexdigest()
    assert (told["output"]["bytes"], told["output"]["rows"]) == (ended.output.stat().st_size, 3)
    assert told["failed_items"]["sha256"] == hashlib.sha256(beside(ended).read_bytes()).hexdigest()
    assert told["plan"]["sha256"] == hashlib.sha256(ended.folder.plan_items.read_bytes()).hexdigest()
    assert told["code"] == {"path": str(code), "sha256": stored.content_hash, "as_stored": True}
    assert told["counts"]["items_failed"] == 1
    assert told["timings"]["seconds"] > 0
    assert told["environment"]["python"].startswith("3.")
    assert "open sesame" not in ended.folder.manifest.read_text()
    assert list(told["settings"]["environment_variables"]) == ["CALLS", "SECRET"]


def test_publishing_again_writes_the_same_letters(engine: Engine) -> None:
    """What a driver does that takes a job over after its predecessor died between publishing and the store."""
    from batchpoint.engine.preparation.plan import read_plan
    from batchpoint.engine.publishing import dead_letters
    from batchpoint.engine.publishing.places import output_place

    ended = engine.run("raises_in_run.py", engine.items(6, bad=[1, 4]), mini_batch_size=2, max_retries=1)
    before = beside(ended).read_bytes()
    plan = read_plan(ended.folder.plan_items, ended.folder.plan_header)
    assert plan is not None
    rows = [row for row in ended.rows if row.failed_items]
    place = output_place(ended.job, ended.folder, engine.settings)
    for _ in range(2):
        written = dead_letters.write(rows, plan, ended.folder)
        assert dead_letters.publish(written, ended.job, ended.folder, place) == "failed_items.jsonl"
        assert beside(ended).read_bytes() == before
    # One is healed, and then all; what a user changed meanwhile is not touched.
    written = dead_letters.write(rows[1:], plan, ended.folder)
    assert dead_letters.publish(written, ended.job, ended.folder, place) == "failed_items.jsonl"
    assert [letter["index"] for letter in letters(beside(ended))] == [4]
    assert dead_letters.write([], plan, ended.folder) is None
    assert dead_letters.publish(None, ended.job, ended.folder, place) == ""
    assert not beside(ended).exists() and recall(ended.folder) == ["predictions.csv"]


def test_letters_that_somebody_changed_are_somebodys(engine: Engine) -> None:
    from batchpoint.engine.publishing import dead_letters
    from batchpoint.engine.publishing.places import output_place

    ended = engine.run("raises_in_run.py", engine.items(2, bad=[1]), mini_batch_size=1, max_retries=1)
    beside(ended).write_text("my notes")
    place = output_place(ended.job, ended.folder, engine.settings)
    assert dead_letters.publish(None, ended.job, ended.folder, place) == ""
    assert beside(ended).read_text() == "my notes"
    assert recall(ended.folder) == ["predictions.csv"]
    assert sorted(os.listdir(beside(ended).parent)) == ["failed_items.jsonl", "predictions.csv"]


def test_two_jobs_with_the_same_failures_in_one_folder_have_letters_of_their_own(engine: Engine) -> None:
    from batchpoint.engine.publishing import dead_letters
    from batchpoint.engine.publishing.places import output_place

    source, out = engine.items(3, bad=[1]), engine.outside / "out"
    settings = {"mini_batch_size": 1, "max_retries": 1, "output_folder": str(out)}
    first = engine.run("raises_in_run.py", source, name="first", output_file_name="1.csv", **settings)
    engine.run("raises_in_run.py", source, name="second", output_file_name="2.csv", **settings)
    assert letters(out / "failed_items.jsonl") == letters(out / "second.failed_items.jsonl")
    # The first one is healed.
    assert (
        dead_letters.publish(None, first.job, first.folder, output_place(first.job, first.folder, engine.settings))
        == ""
    )
    assert sorted(os.listdir(out)) == ["1.csv", "2.csv", "second.failed_items.jsonl"]


def test_a_job_that_cannot_go_on_says_why_items_failed_before(engine: Engine) -> None:
    script = engine.script(
        "import time\ndef init(): pass\ndef run(paths):\n"
        "    if 'bad' in paths[0]: raise ValueError('bad header')\n    time.sleep(600)\n"
    )
    settings = {"mini_batch_size": 1, "max_retries": 1, "max_concurrency_per_instance": 1, "timeout_s": 600}
    job = engine.job(script, engine.items(2, bad=[0]), **settings)
    driver = engine.start_driver("job")
    eventually(lambda: engine.store.ledger("job", 0), "a failed item")
    driver.kill()
    driver.wait()
    stranger = Path(job.settings.output_folder, "predictions.csv")
    stranger.parent.mkdir(parents=True)
    stranger.write_text("mine")
    ended = engine.drive("job")
    assert ended.job.error is not None and ended.job.error.code == "OutputAlreadyExists"
    (reason,) = ended.job.failures
    assert (reason.items, ended.progress.items_failed, len(letters(ended.folder.failed_items))) == (1, 1, 1)
