"""Claims about who may read the live page."""

import http.client
import os
import threading

import pytest

from study.analysis.live.server import LiveServer, as_json


@pytest.fixture
def server():
    pages = {
        "": lambda _: ("text/html", "<p>page"),
        "log": lambda given: as_json(given) if given else None,
        "gone": lambda _: as_json(os.listdir("/no/such/study")),
    }
    with LiveServer(pages) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def asked(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_the_address_opens_the_page_and_answers_with_arguments(server):
    path = f"/{server.token}/"
    status, body, headers = asked(server, path)
    assert (status, body) == (200, "<p>page")
    assert headers["Cache-Control"] == "no-store"
    assert asked(server, f"{path}log?run=a")[1] == '{"run":"a"}'
    assert asked(server, path, Host=f"localhost:{server.port}", Origin=f"http://localhost:{server.port}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/wrong/", "//", "/../", "/%2e%2e/", "/wrong/log?run=a"])
def test_without_the_token_there_is_nothing(server, path):
    assert asked(server, path)[0] == 404
    assert asked(server, f"/{server.token[:-1]}/")[0] == 404
    assert asked(server, f"/{server.token}/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},  # without the port: not this server
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_foreign_host_or_origin_is_refused_even_with_the_token(server, headers):
    assert asked(server, f"/{server.token}/", **headers)[0] == 403


def test_it_listens_on_this_machine_alone_and_takes_only_questions(server):
    assert server.server_address[0] == "127.0.0.1"
    assert asked(server, f"/{server.token}/", method="POST")[0] == 501
    assert asked(server, f"/{server.token}/log")[0] == 404


def test_a_study_that_cannot_be_read_is_named(server):
    assert asked(server, f"/{server.token}/gone")[:2] == (503, "/no/such/study: No such file or directory\n")
