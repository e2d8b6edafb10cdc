"""Long lists of jobs come in pages that stay right while jobs arrive; no request makes one longer than it may be."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.in_process import InProcessTransport
from batchpoint.server.app import create_app
from batchpoint.settings import Settings
from batchpoint.store.store import Store, open_store, store_file
from tests.process.servers import SPACE

W = "00000000-0000-0000-0000-000000000000/default/default"
OF_ENDPOINT = f"{SPACE}/batchEndpoints/digits/jobs"


@dataclass
class Lists:
    """An application whose store has jobs that nobody runs."""

    store: Store
    http: httpx.Client
    file: Path

    def send(self, *names: str, endpoint: str = "digits") -> None:
        for name in names:
            settings = JobSettings(
                code_path="/code",
                scoring_script="score.py",
                input=Input(path="/in"),
                output_folder=f"/out/{name}",
                output_uri=f"/out/{name}",
            )
            self.store.create_job(W, Job(name=name, endpoint_name=endpoint, deployment_name="blue", settings=settings))

    def multiply(self, name: str, times: int) -> None:
        """So many copies of a job, all at once."""
        with closing(sqlite3.connect(self.file)) as connection:
            columns = [
                row[1] for row in connection.execute("PRAGMA table_info(jobs)") if row[1] not in ("sequence", "name")
            ]
            shared = ", ".join(columns)
            numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {times})"
            copies = f"SELECT name || '-copy-' || n, {shared} FROM jobs, numbers WHERE name = '{name}'"
            connection.execute(f"{numbers} INSERT INTO jobs (name, {shared}) {copies}")
            connection.commit()

    def page(self, link: str) -> tuple[list[str], str | None]:
        answer = self.http.get(link)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return [one["name"] for one in found["value"]], found.get("nextLink")


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lists]:
    home: Path = tmp_path_factory.mktemp("homes") / "home"
    with open_store(home) as store:
        app = create_app(Settings(home=home), store)
        headers = {"Authorization": f"Bearer {(home / 'token').read_text().strip()}"}
        http = httpx.Client(transport=InProcessTransport(app, store), base_url="http://localhost", headers=headers)
        found = Lists(store, http, store_file(home))
        found.send(*(f"j{number:03}" for number in range(7)))
        found.send("other", endpoint="letters")
        yield found


@pytest.mark.parametrize("path", [f"{SPACE}/jobs", OF_ENDPOINT, "/endpoints/digits/jobs"])
def test_pages_together_are_the_whole_list_although_jobs_arrive_in_between(lists: Lists, path: str) -> None:
    if path != f"{SPACE}/jobs":
        lists.http.put(f"{SPACE}/batchEndpoints/digits", json={"properties": {}})
    whole, none = lists.page(path)
    assert none is None
    seen, link = lists.page(f"{path}?$top=3")
    while link:
        lists.send(f"late-{path.count('/')}-{len(seen)}")
        names, link = lists.page(link)
        assert len(names) <= 3
        seen += names
    assert seen == whole
    assert seen == sorted(seen, key=seen.index)
    assert len(set(seen)) == len(seen)


def test_a_number_of_jobs_can_be_passed_over(lists: Lists) -> None:
    whole, _ = lists.page(OF_ENDPOINT)
    assert lists.page(f"{OF_ENDPOINT}?$skip=2&$top=2")[0] == whole[2:4]
    assert lists.page(f"{OF_ENDPOINT}?$skip={10**17}")[0] == []


@pytest.mark.parametrize(
    "query",
    ["$skipToken=-1", "$skipToken=zz", "$skiptoken=1%27%20OR%201=1", "$top=-1", "$top=1e9", "count=ten", "$skip=-3"],
)
def test_a_place_or_number_that_is_none_is_refused(lists: Lists, query: str) -> None:
    answer = lists.http.get(f"{SPACE}/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidReference")


def test_a_made_up_place_opens_no_list_of_others(lists: Lists) -> None:
    names, _ = lists.page(f"{OF_ENDPOINT}?$skipToken=fffffffffffffff")
    assert names
    assert "other" not in names
    assert lists.page(f"{OF_ENDPOINT}?$skipToken=0") == ([], None)


def test_a_page_has_a_bound_however_many_are_asked_for(lists: Lists) -> None:
    lists.multiply("j000", 1001)
    names, link = lists.page(f"{SPACE}/jobs?count=1000000000")
    assert len(names) == 1000
    assert link
    assert lists.page(f"{SPACE}/jobs")[1], "without a number a page is shorter still"


def test_what_is_archived_is_left_out_before_pages_are_cut(lists: Lists) -> None:
    lists.send("kept-1", "hidden", "kept-2", endpoint="archive")
    lists.store.request_cancel(W, "hidden")
    lists.store.archive_job(W, "hidden", True)
    lists.http.put(f"{SPACE}/batchEndpoints/archive", json={"properties": {}})
    path = f"{SPACE}/batchEndpoints/archive/jobs"
    first, link = lists.page(f"{path}?$top=1")
    assert (first, lists.page(link or "")) == (["kept-2"], (["kept-1"], None))
    assert lists.page(f"{path}?listViewType=ArchivedOnly") == (["hidden"], None)
    assert lists.page(f"{path}?listViewType=All")[0] == ["kept-2", "hidden", "kept-1"]
