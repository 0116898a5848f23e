"""The studio over HTTP: who may ask, what is refused, the queue, what is written; without a browser."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from starlette.requests import Request

from studio_served import DEFINED, FATAL, HELD, SIGHT, SLOW, Served, Standin, png, serving_of, until
from texsynth.errors import ResourceError, UsageError
from texsynth.foreign.held import Held
from texsynth.image import picture as image
from texsynth.studio import desk, guard, news, orders, serving, sheet, store
from texsynth.studio.app import Answers, Began
from texsynth.studio.sheet import Errand
from texsynth.studio.store import Store

BRICK = Path(__file__).parent.parent / "samples" / "brick.png"
MEMORY = 1 << 24


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio for what leaves nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "wall.png").write_bytes(png(3))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(png(4))
    (folder.parent / "outside.png").write_bytes(png(5))
    with serving_of(folder, MEMORY) as served:
        yield served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_of(tmp_path) as served:
        yield served


# Who may ask


def test_the_page_and_its_files_are_served_with_what_keeps_others_out(shared: Served) -> None:
    page = shared.ask("GET", "")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html") and b"<html" in page.body
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    others = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}
    others |= {f"cross-origin-{what}-policy": "same-origin" for what in ("opener", "resource")}
    assert others.items() <= page.headers.items()
    types = {"page/main.js": "text/javascript", "page/style.css": "text/css", "page/light.js": "text/javascript"}
    for path, kind in types.items():
        assert shared.ask("GET", path).headers["content-type"].startswith(kind)
    refused = [shared.raw("GET", "/"), shared.ask("GET", "nothing"), shared.ask("PUT", "runs")]
    assert [each.status for each in refused] == [404, 404, 405]
    for answer in (page, *refused, shared.ask("POST", "open", b"{"), shared.raw("GET", f"/{shared.token}")):
        for name, value in guard.HEADERS:
            assert answer.headers[name] == value
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:PORT", "Origin": "http://localhost:PORT", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:PORT"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1:PORT.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://127.0.0.1:PORT"}, 403),
        ({"Origin": "http://localhost:PORT"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_only_the_page_itself_and_the_user_may_ask(shared: Served, headers: dict[str, str], status: int) -> None:
    named = {name: value.replace("PORT", str(shared.port)) for name, value in headers.items()}
    for method, path in (("GET", "folder"), ("DELETE", "runs?client=me")):
        answer = shared.ask(method, path, headers=named)
        assert answer.status == (204 if (method, status) == ("DELETE", 200) else status), answer
        assert status == 200 or answer.error


def test_a_request_without_the_token_learns_nothing(shared: Served) -> None:
    token = shared.token
    wrong = ["", token[:-1], token + "x", token.swapcase(), f"%2f{token}", f"x/{token}", "%ff", "é".encode().hex()]
    answers = [shared.raw("GET", f"/{each}/folder") for each in wrong] + [shared.raw("GET", f"//{token}/folder")]
    assert {(each.status, each.body) for each in answers} == {(404, answers[0].body)}
    assert shared.raw("GET", f"/{token}").headers["location"] == f"/{token}/"


def test_a_browser_is_invited_once(shared: Served) -> None:
    invited = f"/{shared.invite()}"
    first, second = shared.raw("GET", invited), shared.raw("GET", invited)
    assert (first.status, first.headers["location"], second.status) == (303, f"/{shared.token}/", 404)


def test_a_header_that_stands_twice_lets_nobody_in(shared: Served) -> None:
    host, origin = f"Host: 127.0.0.1:{shared.port}\r\n", f"Origin: http://127.0.0.1:{shared.port}\r\n"
    for twice in (
        f"{host}{host}",
        f"{host}{origin}Origin: http://evil.example\r\n",
        f"{host}Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n",
    ):
        with socket.create_connection(("127.0.0.1", shared.port), SIGHT) as way:
            way.sendall(f"GET /{shared.token}/folder HTTP/1.1\r\n{twice}\r\n".encode())
            assert way.recv(20).startswith(b"HTTP/1.1 4"), twice


# What is sent


def test_uploads_are_bounded_declared_or_not(shared: Served) -> None:
    most = shared.ask("GET", "folder").document["largest"]
    assert most == MEMORY // 4
    path, host = f"/{shared.token}/files?name=a.png", f"Host: 127.0.0.1:{shared.port}"
    for length in (str(most + 1), "9" * 18):
        with socket.create_connection(("127.0.0.1", shared.port), SIGHT) as way:
            way.sendall(f"POST {path} HTTP/1.1\r\n{host}\r\nContent-Length: {length}\r\n\r\n".encode())
            assert way.recv(20).startswith(b"HTTP/1.1 413")
    pieces = (b"x" * (1 << 16) for _ in range((most >> 16) + 1))
    assert shared.raw("POST", path, pieces).status == 413
    assert shared.ask("POST", "open", b" " * (guard.LARGEST_DOCUMENT + 1)).status == 413


def test_an_upload_that_falls_silent_is_not_waited_for(shared: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SILENCE", 0.05)
    request = f"POST /{shared.token}/files?name=a.png HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), SIGHT) as way:
        way.sendall(f"{request}Content-Length: 9000\r\n\r\nbegun".encode())
        assert way.recv(20).startswith(b"HTTP/1.1 408")


def test_no_upload_is_taken_in_while_two_are_looked_at(tmp_path: Path) -> None:
    """They are not counted as held yet, and each may be large."""
    begun: list[Any] = []

    class Busy:
        async def ask(self, _: Any) -> None:
            await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        begun.append(1)
        return {"type": "http.request", "body": png(), "more_body": False}

    async def send_several() -> None:
        answers = Answers(Busy(), Store(tmp_path, MEMORY), Began(None, {}))  # type: ignore[arg-type]
        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b"name=a.png"}
        tasks = [asyncio.create_task(answers.upload(Request(scope, receive))) for _ in range(5)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(begun) == 2
        for task in tasks:
            task.cancel()

    asyncio.run(send_several())


def test_an_upload_that_breaks_off_is_forgotten(shared: Served) -> None:
    path, host = f"/{shared.token}/files?name=a.png", f"Host: 127.0.0.1:{shared.port}"
    for _ in range(3):  # more than are taken at a time
        with socket.create_connection(("127.0.0.1", shared.port), SIGHT) as way:
            way.sendall(f"POST {path} HTTP/1.1\r\n{host}\r\nContent-Length: 9000\r\n\r\nbegun".encode())
    assert shared.upload()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/brick.png", "brick.png"),
        ("C:\\Users\\me\\brick.PNG", "brick.PNG"),
        ("....png", "picture.png"),
        (".hidden.png", "hidden.png"),
        ("-rf.png", "rf.png"),
        ("a\nb\x1b[31m\x00.png", "a b_[31m_.png"),
        ("a<b>:c|d.png", "a_b__c_d.png"),
        (f"{'é' * 200}.png", f"{'é' * 60}.png"),
        ("Con.png", "_Con.png"),
        ("nul .tar.png", "_nul .tar.png"),
        (f"COM1.{'x' * 200}.png", f"_COM1.{'x' * 114}.png"),
        ("com10.png", "com10.png"),
        ("brick", None),
        ("brick.exe", None),
        ("", None),
        ("..", None),
        ("png", None),
    ],
)
def test_names_of_uploads_are_names(name: str, clean: str | None) -> None:
    if clean is None:
        with pytest.raises(UsageError, match="no picture by its name"):
            store.plain(name)
    else:
        assert store.plain(name) == clean == store.plain(clean)


def test_pictures_are_listed_with_the_maps_beside_them() -> None:
    cobble = ["cobble_BaseColor.jpg", "cobble_Height.png", "cobble_Normal.png"]
    assert store.maps_among([*cobble, "rust.png", "wall_normal.png"]) == {cobble[0]: ["normal", "height"]}
    assert store.maps_among([*cobble, "cobble_disp.png", "cobble_displacement.png"]) == {}


def test_pictures_are_opened_by_names_of_the_folder_alone(shared: Served) -> None:
    listed = shared.ask("GET", "folder").document
    assert [each["name"] for each in listed["pictures"]] == ["wall.png"]
    assert (listed["folder"], listed["opened"]) == (shared.folder.name, None)
    tricks = ["../outside.png", str(shared.folder.parent / "outside.png"), ".hidden.png", "notes.txt", "", "./wall.png"]
    assert [shared.ask("POST", "open", {"name": name}).status for name in tricks] == [404] * len(tricks)
    for path in ("page/../app.py", "page/%2e%2e%2fapp.py", "page/app.py", "page/", "../folder", "pictures/..%2fx"):
        assert shared.ask("GET", path).status == 404


def test_what_is_opened_or_sent_is_described_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wall.png").write_bytes(png())
    elsewhere = tmp_path / "other" / "wall.png"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(png())
    monkeypatch.chdir(tmp_path)
    with serving_of(tmp_path, opened=Path("other/wall.png")) as served:
        assert served.ask("GET", "folder").document["opened"] == "other/wall.png"
        for source in (
            served.ask("POST", "open", {"name": "other/wall.png"}),
            served.ask("POST", "open", {"name": "wall.png"}),
            served.ask("POST", "files?name=wall.png", png()),
        ):
            about = source.document
            assert (about["name"], about["width"], about["height"], about["depth"]) == ("wall.png", 16, 12, "uint8")
            shown = served.ask("GET", about["shown"])
            assert shown.headers["content-type"] == "image/png" and shown.body == png(1)
        damaged = served.ask("POST", "files?name=a.png", b"damaged")
        assert damaged.status == 422 and damaged.error == "a.png: is damaged"
        straight = served.ask("POST", "straighten", {"id": about["id"], "values": {"quad": "0,0,15,0,15,11,0,11"}})
        assert straight.document["command"].startswith("texsynth capture ") and straight.document["id"] != about["id"]
        assert served.ask("GET", "definitions").document == DEFINED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'{"name": 1}',
        b'{"name": null}',
        b'{"name": "a", "name": "b"}',
        b"[" * 100_000,
        b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"name": ' + b"9" * 100_000 + b"}",
    ],
)
def test_what_is_no_document_is_refused(shared: Served, body: bytes) -> None:
    for path in ("open", "runs", "command", "straighten"):
        answer = shared.ask("POST", path, body)
        assert answer.status == 400 and answer.error, answer


def test_runs_that_cannot_be_are_refused(shared: Served) -> None:
    picture = shared.upload()
    good = {"verb": "synthesize", "exemplars": [picture]}
    for wrong in (
        {"client": "me", "kind": "draft"},
        {"client": "me", "kind": "draft", "sheet": {**good, "verb": "train"}},
        {"client": "me", "kind": "draft", "sheet": {**good, "values": {"output": "/etc/passwd"}}},
        {"client": "me", "kind": "draft", "sheet": {**good, "values": {"size": [64]}}},
        {"client": "me", "kind": "whatever", "sheet": good},
        {"client": "m/e", "kind": "draft", "sheet": good},
        {"client": ["me"], "kind": "draft", "sheet": good},
    ):
        answer = shared.ask("POST", "runs", wrong)
        assert answer.status == 400 and answer.error, answer
    missing = shared.ask("POST", "runs", {"client": "me", "kind": "draft", "sheet": {**good, "exemplars": ["gone"]}})
    assert (missing.status, missing.document["missing"]) == (410, ["gone"])
    assert shared.ask("GET", "runs/1/source?x=1&y=1").status == 404
    assert shared.ask("GET", f"runs/{10**30}/source?x=1&y=1").status == 404
    assert shared.ask("DELETE", f"runs/{'9' * 5000}").status == 404  # more digits than are read
    assert shared.ask("GET", "runs/1/source?x=-1&y=%D9%A1").status == 400
    assert shared.ask("POST", "runs/1/save", {"name": ""}).status == 404
    assert shared.ask("GET", "events?client=").status == 400
    assert shared.ask("POST", "files?name=a.png&layer=labels", b"GIF89a").status == 400
    assert shared.ask("POST", "files?name=a.png&layer=../x", png()).status == 400


# What is made


def test_a_run_is_told_until_it_is_done(served: Served) -> None:
    with served.events() as told, served.events("other") as others:
        assert until(told, state="ready")
        assert served.ask("GET", "folder").document["device"] == "cpu"  # which `auto` stands for
        answer = served.run(kind="final")
        assert answer.status == 202
        run = answer.document["run"]
        done = until(told, run=run, state="done")
        assert (done["client"], done["kind"], done["width"], done["height"]) == ("me", "final", 48, 64)
        assert (done["seconds"], done["maps"], done["notices"], done["has_field"]) == (0.2, {}, [], False)
        assert served.ask("GET", done["shown"]).body == png(run)
        with served.events() as again:  # after a connection that broke
            assert until(again, run=run)["state"] == "done"
        source = served.ask("GET", f"runs/{run}/source?x=3&y=4").document
        assert source == {"exemplar": 0, "x": 4, "y": 6, "copy": "none"}
        theirs = served.run("other").document["run"]
        assert until(others, state="done")["run"] == theirs  # and none of another page
        assert served.ask("POST", f"runs/{theirs}/save", {"name": ""}).status == 404  # of a draft nothing is kept
    (order,) = (each for each in served.solvers[0].orders if getattr(each, "number", 0) == run)
    assert (order.kind, order.request.exemplars[0].content, order.request.size) == ("final", png(), "64")


def test_ten_at_once_are_a_queue(served: Served) -> None:
    picture = served.upload()
    with served.events() as told:
        first = served.run(values={"seed": HELD}, exemplar=picture).document["run"]
        until(told, run=first, state="started")
        places = [served.run(f"tab{i}", exemplar=picture).document["place"] for i in range(9)]
        assert places == list(range(1, 10))
        with served.events("tab8") as last:
            assert until(last, state="queued")["place"] == 9
            served.ask("DELETE", "runs?client=tab0")
            assert until(last, state="queued")["place"] == 8
            assert served.ask("DELETE", f"runs/{first}").status == 204
            assert until(told, run=first, state="cancelled")
            assert until(last, state="done")


def test_a_newer_run_of_a_page_takes_the_place_of_older_ones(served: Served) -> None:
    picture = served.upload()
    with served.events() as told:
        blocking = served.run("other", values={"seed": HELD}, exemplar=picture).document["run"]
        answers = [served.run(kind="seed", exemplar=picture).document for _ in range(2)]
        assert [answer["place"] for answer in answers] == [1, 2]  # seeds stand side by side
        seeds = [answer["run"] for answer in answers]
        draft, final = (served.run(kind=kind, exemplar=picture).document["run"] for kind in ("draft", "final"))
        served.ask("DELETE", f"runs/{blocking}")
        states = [until(told, run=run, state="cancelled") for run in (*seeds, draft)]
        states.append(until(told, run=final, state="done"))
    assert len(states) == 4
    assert [each.number for each in served.solvers[0].orders if hasattr(each, "verb")] == [blocking, final]


def test_a_run_makes_way_for_what_a_page_waits_for(served: Served) -> None:
    with served.events() as told:
        run = served.run(values={"seed": HELD}).document["run"]
        until(told, run=run, state="started")
        assert served.upload()
        within(lambda: [getattr(each, "number", 0) for each in served.solvers[0].orders].count(run) == 3)
        until(told, run=run, state="started")
        served.ask("DELETE", f"runs/{run}")
        assert until(told, run=run)["state"] == "cancelled"
    assert served.upload()


def test_more_than_can_wait_is_refused(served: Served) -> None:
    picture = served.upload()
    served.run(values={"seed": HELD}, exemplar=picture)
    codes = [served.run(f"c{i}", exemplar=picture).status for i in range(desk.MOST_WAITING + 1)]
    assert codes == [202] * desk.MOST_WAITING + [429]


def test_a_page_that_goes_takes_its_runs_along(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "GRACE", 0.05)
    picture = served.upload()
    with served.events("watcher") as told:
        with served.events("me") as mine:
            run = served.run(values={"seed": HELD}, exemplar=picture).document["run"]
            until(mine, run=run, state="started")
            waiting = served.run("watcher", exemplar=picture).document["run"]
        assert until(told, run=waiting, state="done")


def test_a_page_that_is_open_once_more_keeps_its_runs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "GRACE", 0.05)
    picture = served.upload()
    with served.events("watcher") as told, served.events("me") as mine:
        run = served.run(values={"seed": HELD}, exemplar=picture).document["run"]
        until(mine, run=run, state="started")
        served.run("other", exemplar=picture)
        last = served.run("watcher", exemplar=picture).document["run"]
        until(told, run=last, place=2)
        for client in ("me", "other"):
            with served.events(client):
                pass
        until(told, run=last, place=1)  # by when both have been gone for long enough
        with served.events("me") as again:
            assert until(again, run=run)["state"] == "started"


def test_a_process_that_dies_is_followed_by_another(served: Served) -> None:
    with served.events() as told:
        final = served.run(kind="final").document["run"]
        until(told, run=final, state="done")
        fatal = served.run(values={"seed": FATAL}).document["run"]
        assert until(told, run=fatal, state="failed")["error"] == "the process that computes was ended by SIGKILL"
        assert until(told, state="ready")
        assert served.ask("POST", f"runs/{final}/save", {"name": ""}).status == 404
        again = served.run().document["run"]
        assert until(told, run=again, state="done")
    assert len(served.solvers) == 2


@pytest.mark.parametrize("left", [desk.SOON / 2, desk.SOON * 2])
def test_a_run_makes_way_unless_it_is_nearly_done_and_never_comes_back_once_dropped(
    tmp_path: Path, left: float
) -> None:
    says: SimpleQueue[Any] = SimpleQueue()

    class Told(Standin):
        def send(self, order: Any) -> None:
            self.orders.append(order)

        def hear(self) -> Any:
            return says.get()

        def kill(self) -> None:
            says.put(None)

    async def ask() -> None:
        alone = desk.SolverDesk(Told, news.News(Store(tmp_path, MEMORY)))
        alone.open()
        number, _ = alone.run("me", "draft", Errand("synthesize", None))
        says.put(orders.Drafted(number, None, 0, 0.5, left))
        at_work = alone._at_work
        assert at_work is not None
        while "left" not in at_work.state:
            await asyncio.sleep(0)
        answer = asyncio.create_task(alone.ask(orders.Define))
        await asyncio.sleep(0)
        assert at_work.aside == (left > desk.SOON)
        alone.cancel(number=number)
        says.put(orders.Cancelled(number))
        says.put(orders.Defined(number + 1, DEFINED))
        await answer
        assert alone._at_work is None
        alone.close()

    asyncio.run(asyncio.wait_for(ask(), SIGHT))


def test_a_process_that_dies_before_it_is_ready_is_not_begun_for_ever(tmp_path: Path) -> None:
    begun: list[Any] = []
    asked = threading.Event()

    class Dead(Standin):
        def hear(self) -> None:
            asked.wait(SIGHT)

    def begin() -> Dead:
        begun.append(Dead())
        return begun[-1]

    async def ask() -> list[Any]:
        desk_of_all = desk.SolverDesk(begin, news.News(Store(tmp_path, MEMORY)))
        desk_of_all.open()
        answers = [asyncio.create_task(desk_of_all.ask(orders.Define)) for _ in range(desk.STARTS + 1)]
        await asyncio.sleep(0)
        asked.set()
        said = await asyncio.gather(*answers)
        desk_of_all.close()
        return said

    assert {type(each) for each in asyncio.run(ask())} == {orders.Failed}
    assert len(begun) == desk.STARTS


def test_a_process_that_does_not_stop_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "PATIENCE", 0.05)
    picture = served.upload()
    with served.events() as told:
        slow = served.run(values={"seed": SLOW}, exemplar=picture).document["run"]
        until(told, run=slow, state="started")
        draft = served.run(exemplar=picture).document["run"]
        assert until(told, run=slow)["state"] == "cancelled"
        assert until(told, run=draft, state="done")
    assert len(served.solvers) == 2


def test_a_page_that_does_not_read_keeps_the_newest_of_each_run() -> None:
    async def told() -> list[Any]:
        tab = news.Tab("me")
        for run in range(news.MOST_NEWS + 2):
            for level in range(50):
                tab.tell(run, "run", {"run": run, "level": level})
        return await tab.news(1.0)

    assert asyncio.run(told()) == [("run", {"run": run, "level": 49}) for run in range(2, news.MOST_NEWS + 2)]


def test_pages_are_bounded(served: Served) -> None:
    ways = [served.events(f"t{i}") for i in range(news.MOST_TABS)]
    for way in ways:
        way.__enter__()
    assert served.ask("GET", "events?client=more").status == 429
    for way in ways:
        way.__exit__(None, None, None)


def test_connections_are_bounded(served: Served) -> None:
    ways = [socket.create_connection(("127.0.0.1", served.port), SIGHT) for _ in range(128)]
    assert served.ask("GET", "folder").status == 503
    for way in ways:
        way.close()


# What is held, and what is written


def test_what_is_held_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Store(tmp_path, 6000)
    first, second, third = (held.keep(Held.of(bytes([i]) * 900, f"{i}.png")).identity for i in range(3))
    assert held.find(first).path.name == "0.png"  # so that the second is the one not used for longest
    held.keep(Held.of(bytes(900), "3.png"))
    with pytest.raises(store.MissingError):
        held.find(second)
    assert held.find(third).path.content == bytes([2]) * 900  # type: ignore[attr-defined]
    strokes = [held.keep(Held.of(bytes([i]), "labels.png"), "labels").identity for i in range(30)]
    with pytest.raises(store.MissingError):
        held.find(strokes[-store.MOST_LAYERS - 1])
    assert [held.find(each).layer for each in strokes[-store.MOST_LAYERS :]] == ["labels"] * store.MOST_LAYERS
    final = held.show(b"final", store.FINISHED).removeprefix("pictures/")
    passing = [held.show(bytes([i]), store.PASSING).removeprefix("pictures/") for i in range(store.MOST_PASSING + 1)]
    assert [held.shown(key) is not None for key in passing] == [False] + [True] * store.MOST_PASSING
    assert held.shown(final) == b"final"
    monkeypatch.setattr(store, "MOST_KEPT", 3)
    small = [held.keep(Held.of(bytes([i]), "a.png")).identity for i in range(4)]
    with pytest.raises(store.MissingError):
        held.find(small[0])
    assert held.find(small[1])
    shown = [held.show(bytes([i]) * 200, store.PASSING).removeprefix("pictures/") for i in range(9)]
    assert [held.shown(key) is not None for key in shown] == [False] * 7 + [True] * 2


def test_what_a_straightened_picture_was_made_of_counts(tmp_path: Path) -> None:
    """And one that was straightened again and again is refused where it would hold more than there is room for."""
    held = Store(tmp_path, 6000)
    other = held.keep(Held.of(bytes(900), "other.png")).identity
    photo = held.keep(Held.of(b"0" * 900, "photo.png"))

    def straightened(shade: int) -> sheet.Straightened:
        made = sheet.Straightened.of(bytes([shade]) * 900, "straight.png")
        made.request = sheet.straightening({}, photo.path, "straight.png", {})
        return made

    first = photo = held.keep(straightened(1))
    assert first.size == 1800 and held.find(first.identity)
    with pytest.raises(store.MissingError):
        held.find(other)
    photo = held.keep(straightened(2))
    assert photo.size == 2700 and held.find(photo.identity)
    with pytest.raises(store.MissingError):
        held.find(first.identity)
    with pytest.raises(ResourceError, match="takes more memory than there is"):
        held.keep(straightened(3))
    assert held.find(photo.identity)


def test_saving_writes_what_was_sent_and_the_picture_and_nothing_else(served: Served, tmp_path: Path) -> None:
    picture, mask = served.upload(), served.upload("source_mask.png", png(255), "source_mask")
    theirs = tmp_path.parent / f"{tmp_path.name}-theirs.png"
    (tmp_path / "brick_2_studio.png").symlink_to(theirs)  # to nothing yet
    (tmp_path / "brick.png").write_bytes(png(8))
    with served.events() as told:
        run = served.run(kind="final", exemplar=picture, files={"source_mask": [mask]}).document["run"]
        until(told, run=run, state="done")
        refused = served.ask("POST", f"runs/{run}/save", {"name": "refused"})
        assert refused.status == 422 and refused.error == "the disk is full"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["brick.png", "brick_2_studio.png"]
        saved = served.ask("POST", f"runs/{run}/save", {"name": ""}).document
    assert saved["files"] == ["brick_2.png", "brick_2_studio_2_source_mask.png", "brick_2_studio_2.png"]
    assert "brick_2.png" in saved["command"] and "brick_2_studio_2_source_mask.png" in saved["command"]
    assert (tmp_path / "brick_2.png").read_bytes() == png()
    assert (tmp_path / "brick.png").read_bytes() == png(8)
    assert not theirs.exists()
    sheet = {"verb": "synthesize", "exemplars": [picture], "files": {"source_mask": [mask]}}
    asked = served.ask("POST", "command", {"sheet": sheet, "name": "wall"}).document
    assert asked["files"] == ["wall_source_mask.png"]
    for name in ("../wall", "/tmp/wall", "a/b", ".wall", "wall\nx"):
        answer = served.ask("POST", "command", {"sheet": sheet, "name": name})
        assert answer.status == 400, (name, answer)


def test_a_folder_that_is_gone_is_told_in_a_line(served: Served, tmp_path: Path) -> None:
    sheet = {"verb": "synthesize", "exemplars": [served.upload()]}
    tmp_path.rmdir()
    answer = served.ask("POST", "command", {"sheet": sheet, "name": ""})
    assert answer.status == 400 and "the folder of the studio cannot be read" in answer.error
    assert served.ask("GET", "folder").document["pictures"] == []


def test_names_are_given_to_one_picture_at_a_time(tmp_path: Path) -> None:
    alone: list[bool] = []

    class Watched:
        def result(self, _: int) -> Errand:
            path = Held.of(png(), "a.png")
            return sheet.asked({"verb": "synthesize", "exemplars": ["a"]}, lambda _: path, {})

        async def ask(self, _: Any) -> orders.Saved:
            alone.append(answers._writing.locked())
            return orders.Saved(1, ())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"name": ""}', "more_body": False}

    answers = Answers(Watched(), Store(tmp_path, MEMORY), Began(None, {}))  # type: ignore[arg-type]
    scope = {"type": "http", "method": "POST", "headers": [], "path_params": {"run": 1}}
    asyncio.run(answers.save(Request(scope, receive)))
    assert alone == [True]


def test_nothing_is_left_where_the_process_dies_while_it_saves(served: Served, tmp_path: Path) -> None:
    with served.events() as told:
        run = served.run(kind="final").document["run"]
        until(told, run=run, state="done")
        answer = served.ask("POST", f"runs/{run}/save", {"name": "dies"})
        assert (answer.status, answer.error) == (422, "the process that computes was ended by SIGKILL")
    assert list(tmp_path.iterdir()) == []


def test_files_are_made_all_or_none_and_only_where_nothing_is(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "taken.png").symlink_to(tmp_path / "elsewhere.png")
    held = Store(folder, MEMORY)
    for bad in ("taken.png", "../out.png", "sub/out.png", ".."):
        with pytest.raises(UsageError):
            held.write({"first.png": b"1", bad: b"2"})
        assert [each.name for each in folder.iterdir()] == ["taken.png"]
    assert not (tmp_path / "elsewhere.png").exists()
    assert held.write({"first.png": b"1"}) == [folder / "first.png"]


# The command


def test_the_port_is_mostly_the_same_and_one_that_is_taken_is_told(refused: Any) -> None:
    with serving.bound(None) as first, serving.bound(None) as second:
        port = first.getsockname()[1]
        assert port != second.getsockname()[1]
        assert refused(2, "studio", "--no-browser", "--port", port) == (
            f"texsynth: error: --port {port}: is taken; leave --port out for one that is free\n"
        )


def test_what_is_wrong_is_told_before_anything_starts(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in refused(3, "studio", "missing.png", "--no-browser")
    for option, words in (("--max-memory", "lots"), ("--device", "gpu"), ("--port", "70000")):
        assert option in refused(2, "studio", "--no-browser", option, words)
    for name in [name for name in sys.modules if name.startswith("texsynth.studio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "texsynth[studio]" in refused(5, "studio", "--no-browser")


PROGRAM = """
import sys
from texsynth.cli import main
code = main(["studio", *sys.argv[1:]])
print("torch" in sys.modules, code)
"""


def started(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """The command in a process, and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--threads", "1", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def within(condition: Callable[[], bool]) -> None:
    """Wait until that holds."""
    end = time.monotonic() + SIGHT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are told by Linux")
def test_a_signal_ends_it_and_all_that_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser gets an address that leads to the page once, and what it says is not for standard output."""
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho noise\necho "$1" > opened.part\nmv opened.part opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    process, address = started(tmp_path)
    port, token = address.split(":")[2].strip("/").split("/")
    with Served(int(port), token, tmp_path).events() as told:
        within((tmp_path / "opened").exists)
        assert next(told)[0] == "solver"
        begun = children(process.pid)
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=SIGHT)
    assert out == "False 0\n" and err.count("\n") == 1
    assert begun
    within(lambda: not any(Path(f"/proc/{each}").exists() for each in begun))
    opened = (tmp_path / "opened").read_text().strip()
    assert opened.startswith(f"http://127.0.0.1:{port}/") and token not in opened


def test_the_real_thing_makes_what_the_command_makes(tmp_path: Path, texsynth: Any) -> None:
    (tmp_path / "brick.png").write_bytes(BRICK.read_bytes())
    process, address = started(tmp_path, "brick.png", "--no-browser")
    port, token = address.split(":")[2].strip("/").split("/")
    served = Served(int(port), token, tmp_path)
    try:
        opened = served.ask("POST", "open", {"name": "brick.png"}).document
        assert (opened["name"], opened["width"]) == ("brick.png", 256)
        assert served.ask("GET", "definitions").document["verbs"]
        with served.events() as told:
            values = {"size": "96", "seed": 3}
            run = served.run(kind="final", exemplar=opened["id"], values=values).document["run"]
            done = until(told, run=run, state="done")
        assert (done["width"], done["height"], done["has_field"]) == (96, 96, True)
        source = served.ask("GET", f"runs/{run}/source?x=10&y=20").document
        assert source["exemplar"] == 0 and 0 <= source["x"] < 256
        saved = served.ask("POST", f"runs/{run}/save", {"name": ""}).document
        assert saved["files"] == ["brick_studio.png"]
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SIGHT)
    assert (out, err.count("\n")) == ("False 0\n", 1)
    (tmp_path / "brick_studio.png").rename(tmp_path / "page.png")
    words = saved["command"].split()[1:]
    assert texsynth(*words).code == 0
    pages, commands = (image.to_array(image.read(tmp_path / name)) for name in ("page.png", "brick_studio.png"))
    assert np.array_equal(pages, commands)
