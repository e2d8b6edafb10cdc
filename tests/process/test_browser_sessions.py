"""People at a browser: they log in on a page, their session counts for what our pages ask, and for nothing else."""

import json
import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from batchpoint.entities.identity.principal import Principal
from batchpoint.entities.identity.role import RoleAssignment
from batchpoint.server.browser.sessions import LIFETIME_S, Sessions
from batchpoint.server.identity.secrets import create_secret
from batchpoint.store.store import open_store
from tests.process.servers import SPACE, Server, serving

ANNA = Principal(id="11111111-1111-4111-8111-111111111111", name="Anna")
ROBOT = Principal(
    id="22222222-2222-4222-8222-222222222222",
    name="robot",
    kind="service_principal",
    client_id="33333333-3333-4333-8333-333333333333",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("homes") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def passwords(server: Server) -> dict[str, str]:
    """By name; Anna may read, the robot may do everything."""
    with open_store(server.home, 10.0) as store:
        found = {}
        for principal, role, kind in ((ANNA, "Reader", "password"), (ROBOT, "Contributor", "client_secret")):
            store.create_principal(principal)
            store.put_assignment(RoleAssignment(id=principal.id, principal_id=principal.id, role=role))
            found[principal.name] = create_secret(store, principal.id, kind).text  # type: ignore[arg-type]
    return found


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Accept": "text/html,*/*", "Origin": server.url}) as found:
        yield found


def logged_in(browser: httpx.Client, name: str, secret: str, onward: str = "/docs") -> httpx.Response:
    return browser.post("/login", data={"name": name, "secret": secret, "next": onward})


def proof(browser: httpx.Client) -> str:
    found: str = browser.get("/batchpoint/v1/session").raise_for_status().json()["proof"]
    return found


def test_a_page_leads_to_the_login_and_the_login_back_to_it(browser: httpx.Client, passwords: dict[str, str]) -> None:
    away = browser.get("/docs")
    assert (away.status_code, away.headers["location"]) == (303, "/login?next=/docs")
    form = browser.get(away.headers["location"])
    assert '<form method="post" action="/login"' in form.text
    assert 'name="next" value="/docs"' in form.text

    back = logged_in(browser, "anna", passwords["Anna"])
    assert (back.status_code, back.headers["location"]) == (303, "/docs")
    page = browser.get("/docs")
    assert page.status_code == 200
    assert "Anna" in page.text


def test_the_bare_address_leads_to_a_page(browser: httpx.Client, passwords: dict[str, str]) -> None:
    assert browser.get("/").headers["location"] == "/login?next=/"
    assert browser.get("/", headers={"Accept": "application/json"}).status_code == 401
    logged_in(browser, "anna", passwords["Anna"], "/")
    front = browser.get("/")
    assert (front.status_code, front.headers["location"]) == (303, "/docs")


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(browser: httpx.Client, passwords: dict[str, str]) -> None:
    said = logged_in(browser, str(ROBOT.client_id), passwords["robot"])
    cookie = said.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and f"max-age={LIFETIME_S}" in cookie
    assert passwords["robot"].lower() not in cookie
    assert "domain=" not in cookie


@pytest.mark.parametrize(
    ("name", "secret"), [("anna", "wrong"), ("nobody", "wrong"), (ROBOT.client_id, "wrong"), ("", "wrong"), ("", "")]
)
def test_whatever_is_wrong_the_page_says_the_same(
    browser: httpx.Client, passwords: dict[str, str], name: str, secret: str
) -> None:
    said = logged_in(browser, name, secret)
    assert said.status_code == 401
    assert "The name is not known, or the password or secret is wrong or expired." in said.text
    assert "set-cookie" not in said.headers


def test_the_owner_logs_in_with_the_token_of_the_home(browser: httpx.Client, server: Server) -> None:
    assert logged_in(browser, "", (server.home / "token").read_text()).status_code == 303
    assert browser.get("/batchpoint/v1/session").json()["isOwner"] is True


def test_a_change_needs_the_proof_of_a_page_of_ours(
    browser: httpx.Client, server: Server, passwords: dict[str, str]
) -> None:
    logged_in(browser, str(ROBOT.client_id), passwords["robot"])
    endpoint, body = f"{SPACE}/batchEndpoints/from-a-browser", {"properties": {}}
    shown = proof(browser)
    for headers in (
        {},
        {"X-Batchpoint-Proof": "0" * 64},
        {"X-Batchpoint-Proof": shown, "Origin": "https://evil.example"},
        {"X-Batchpoint-Proof": shown, "Sec-Fetch-Site": "same-site"},
        {"X-Batchpoint-Proof": shown, "Origin": "null"},
    ):
        refused = browser.put(endpoint, json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AuthorizationFailed"), headers
    done = browser.put(endpoint, json=body, headers={"X-Batchpoint-Proof": shown, "Sec-Fetch-Site": "same-origin"})
    assert done.status_code == 201, done.text


def test_a_session_counts_only_where_there_is_no_token_and_only_for_its_roles(
    browser: httpx.Client, passwords: dict[str, str]
) -> None:
    logged_in(browser, "anna", passwords["Anna"])
    assert browser.get(f"{SPACE}/batchEndpoints").status_code == 200
    assert browser.get(f"{SPACE}/batchEndpoints", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    mine = {"X-Batchpoint-Proof": proof(browser)}
    assert browser.put(f"{SPACE}/batchEndpoints/annas", json={"properties": {}}, headers=mine).status_code == 403
    assert browser.get("/batchpoint/azureml-blobstore/some/file").status_code in (401, 403)


def test_a_login_that_another_site_sends_opens_nothing(browser: httpx.Client, passwords: dict[str, str]) -> None:
    form = {"name": "anna", "secret": passwords["Anna"]}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        said = browser.post("/login", data=form, headers=headers)
        assert said.status_code == 403
        assert "set-cookie" not in said.headers


@pytest.mark.parametrize(
    "onward",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "", "/a\r\nX: y"],
)
def test_nobody_is_led_elsewhere(browser: httpx.Client, passwords: dict[str, str], onward: str) -> None:
    assert logged_in(browser, "anna", passwords["Anna"], onward).headers["location"] == "/docs"


def test_who_logs_out_is_out_wherever_the_cookie_went(browser: httpx.Client, passwords: dict[str, str]) -> None:
    logged_in(browser, "anna", passwords["Anna"])
    copy = dict(browser.cookies)
    assert browser.post("/logout", data={"proof": "wrong"}).status_code == 403
    out = browser.post("/logout", data={"proof": proof(browser)})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert not browser.cookies
    with httpx.Client(base_url=browser.base_url, cookies=copy) as thief:
        assert thief.get("/batchpoint/v1/session").status_code == 401


def test_a_disabled_user_is_out_at_once(browser: httpx.Client, server: Server, passwords: dict[str, str]) -> None:
    logged_in(browser, "anna", passwords["Anna"])
    with open_store(server.home, 10.0) as store:
        store.replace_principal(ANNA.model_copy(update={"disabled": True}))
        try:
            assert browser.get("/batchpoint/v1/session").status_code == 401
            assert logged_in(browser, "anna", passwords["Anna"]).status_code == 401
        finally:
            store.replace_principal(ANNA)
    assert browser.get("/batchpoint/v1/session").status_code == 200


def test_the_pages_run_no_script_but_ours_and_store_nothing(browser: httpx.Client, passwords: dict[str, str]) -> None:
    logged_in(browser, "anna", passwords["Anna"])
    for path in ("/login", "/docs"):
        page = browser.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|javascript:", page.text)
        assert page.headers["cache-control"] == "no-store"
        # Under "no-referrer" browsers send the form of the page with the origin "null", which is refused.
        assert page.headers["referrer-policy"] == "same-origin"
        for file in re.findall(r'(?:src|href)="(/pages/[^"]+)"', page.text):
            found = browser.get(file)
            assert found.status_code == 200 and found.headers["x-content-type-options"] == "nosniff"
    script = browser.get("/pages/swagger.js").text
    assert "localStorage" not in script and "sessionStorage" not in script
    assert browser.get("/pages/..%2fsessions.py").status_code == 404


def test_what_somebody_calls_themselves_stays_text_on_a_page(browser: httpx.Client) -> None:
    page = browser.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text


def test_guesses_are_counted_with_those_of_the_token_endpoints(browser: httpx.Client) -> None:
    for _ in range(20):
        assert logged_in(browser, "brute", "wrong").status_code == 401
    said = logged_in(browser, "brute", "wrong")
    assert said.status_code == 429
    asked = {
        "grant_type": "password",
        "username": "brute",
        "password": "wrong",
        "scope": "https://ml.azure.com/.default",
    }
    assert browser.post("/adfs/oauth2/token", data=asked).status_code == 429


def test_over_https_the_cookie_is_bound_to_this_very_host(server: Server) -> None:
    record = json.loads((server.home / "server.json").read_text())
    trusted = ssl.create_default_context(cafile=server.home / "tls" / "ca.pem")
    with httpx.Client(base_url=record["https"], verify=trusted) as browser:
        browser.headers["Origin"] = record["https"]
        said = logged_in(browser, "", (server.home / "token").read_text())
    assert re.match(r"__Host-batchpoint-[0-9a-f]{8}=", said.headers["set-cookie"])
    assert "secure" in said.headers["set-cookie"].lower() and "path=/" in said.headers["set-cookie"].lower()


def test_a_session_ends_by_the_clock_and_with_the_token_of_the_home() -> None:
    clock = [1000.0]
    sessions = Sessions("key", "token", lambda: clock[0])
    cookie = sessions.open(ANNA.id)
    assert sessions.holder(cookie) == ANNA.id
    assert sessions.holder(sessions.open(None)) == ""
    for forged in ("", "a.b.c.d", cookie[:-1], cookie.replace(ANNA.id, ROBOT.id), f"9{cookie}", "owner"):
        assert sessions.holder(forged) is None
    assert Sessions("key", "another token", lambda: clock[0]).holder(cookie) is None
    clock[0] += LIFETIME_S
    assert sessions.holder(cookie) is None
