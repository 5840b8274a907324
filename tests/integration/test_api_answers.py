"""What is not the answer to the question is a failed request: nothing is ever taken for an empty list."""

from __future__ import annotations

import json

import pytest

from registry_trust.controller import api_server
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.connection import Connector
from tests.integration.fixed_answers import answering


def asked(tmp_path, answer):
    return answering(tmp_path, json.dumps(answer).encode())


@pytest.mark.parametrize(
    "answer",
    [
        {"metadata": {"resourceVersion": "7"}},
        {"metadata": {"resourceVersion": "7"}, "items": None},
        {"metadata": {"resourceVersion": "7"}, "items": {}},
        {"metadata": {"resourceVersion": "7"}, "items": ["text"]},
        {"metadata": {"resourceVersion": ""}, "items": []},
        {"metadata": {}, "items": []},
        {"metadata": None, "items": []},
        {"kind": "Status", "status": "Success"},
        {},
    ],
    ids=json.dumps,
)
def test_an_answer_without_a_version_and_a_list_of_objects_is_not_an_empty_list(tmp_path, answer):
    with asked(tmp_path, answer) as kubeconfig:
        server = ApiServer(Connector(str(kubeconfig)), longest=5)
        with pytest.raises(ApiFailure, match="not a list of objects"):
            server.list("/api/v1/nodes")
        with pytest.raises(ApiFailure, match="not a list of objects"):
            server.list_version("/api/v1/nodes")


def test_an_empty_list_is_one(tmp_path):
    with asked(tmp_path, {"metadata": {"resourceVersion": "7"}, "items": []}) as kubeconfig:
        assert ApiServer(Connector(str(kubeconfig)), longest=5).list("/api/v1/nodes") == (7, [])


def test_a_list_that_always_names_another_page_ends_as_a_failed_request(tmp_path, monkeypatch):
    monkeypatch.setattr(api_server, "MOST_PAGES", 5)
    page = {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"metadata": {"name": "n"}}]}
    with asked(tmp_path, page) as kubeconfig, pytest.raises(ApiFailure, match="does not end after 5 pages"):
        ApiServer(Connector(str(kubeconfig)), longest=5).list("/api/v1/nodes")


@pytest.mark.parametrize("answer", [{}, {"metadata": []}, {"metadata": "n"}], ids=json.dumps)
def test_an_answer_without_metadata_does_not_stand_for_an_object_that_is_there(tmp_path, answer):
    with asked(tmp_path, answer) as kubeconfig, pytest.raises(ApiFailure, match="not an object of the API"):
        ApiServer(Connector(str(kubeconfig)), longest=5).get("/api/v1/nodes/n", metadata_only=True)
