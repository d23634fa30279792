"""Clients of a local cloud ask that cloud, whatever the user's own AWS settings are."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.exceptions import ClientError
from local_cloud.launcher import RunningCloud, free_port


class Refuses(BaseHTTPRequestHandler):
    """Answers every request with an error, and keeps its headers."""

    def do_POST(self):
        self.server.asked.append(dict(self.headers))
        self.send_response(400)
        self.end_headers()
        self.wfile.write(b"<ErrorResponse><Error><Code>Refused</Code></Error></ErrorResponse>")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Refuses) as listening:
        listening.asked = []
        threading.Thread(target=listening.serve_forever, args=[0.01], daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "nobody"},
        {"AWS_CONFIG_FILE": "config", "AWS_DEFAULT_PROFILE": "work"},
        {"AWS_CA_BUNDLE": "/nowhere.pem", "AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_ENDPOINT_URL": "https://elsewhere.example", "AWS_DEFAULT_REGION": "eu-west-1"},
        {"HTTP_PROXY": "proxy", "http_proxy": "proxy"},
    ],
    ids=lambda variables: ",".join(variables),
)
def test_a_client_asks_this_cloud_whatever_the_user_has_set(
    server, tmp_path, monkeypatch, variables
):
    (tmp_path / "config").write_text(
        "[profile work]\nregion = eu-west-1\nuse_fips_endpoint = true\n"
    )
    places = {"config": str(tmp_path / "config"), "proxy": f"http://127.0.0.1:{free_port()}"}
    for name, value in variables.items():
        monkeypatch.setenv(name, places.get(value, value))
    cloud = RunningCloud(tmp_path / "state", server.server_port)
    with pytest.raises(ClientError, match="Refused"):
        cloud.client("sts").get_caller_identity()
    signed = server.asked[0]["Authorization"]
    assert f"Credential={cloud.access_key}/" in signed
    assert "/us-east-1/sts/" in signed
