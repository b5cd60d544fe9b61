"""The agent is asked with the pod's token over one connection, and only if its certificate is for the pod's node."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.api.agentserving import CA_FILE, TOKEN_FILE
from ballast.exporter.agent_client import AgentClient, NoAccess, NoAgent, NotKnownYet, Refused
from ballast.exporter.readings import BadReadings
from tests.unit.exporter.tls_agent import NODE, POD_UID, TOKEN, Authority, TlsAgent, grant, readings, running, share


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    grant(tmp_path / "agent", authority)
    return tmp_path / "agent"


@pytest.fixture
def agent(tmp_path: Path, authority: Authority) -> Iterator[TlsAgent]:
    with running(tmp_path, authority) as agent:
        yield agent


@pytest.fixture
def client(agent: TlsAgent, folder: Path) -> Iterator[AgentClient]:
    client = AgentClient("127.0.0.1", agent.port, NODE, folder)
    yield client
    client.close()


def test_readings_are_told_for_the_token(agent: TlsAgent, client: AgentClient) -> None:
    agent.answer = (200, readings(at=2_000.5, gpu=share(10.0, 2.0, 100.0)))
    told = client.ask(5)
    assert (told.pod_uid, told.at, told.shares[0].active_joules) == (POD_UID, 2_000.5, 10.0)
    assert agent.tokens == [TOKEN]


def test_one_connection_is_kept(agent: TlsAgent, client: AgentClient) -> None:
    for _ in range(3):
        client.ask(5)
    assert agent.connections == 1


def test_refusals_keep_the_connection(agent: TlsAgent, client: AgentClient) -> None:
    agent.answer = (404, {"detail": "ask again in a second"})
    with pytest.raises(NotKnownYet, match="ask again in a second"):
        client.ask(5)
    agent.answer = (200, readings(at=1.0))
    client.ask(5)
    assert agent.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew_at_once(agent: TlsAgent, client: AgentClient) -> None:
    client.ask(5)
    agent.hang_up()
    client.ask(5)
    assert agent.connections == 2


@pytest.mark.parametrize("status", [401, 403, 429, 503, 500])
def test_a_refusal_tells_why_and_how_long_to_wait(agent: TlsAgent, client: AgentClient, status: int) -> None:
    agent.answer, agent.headers = (status, {"detail": "wait 7 s"}), {"Retry-After": "7"}
    with pytest.raises(Refused, match=f"{status}: wait 7 s") as told:
        client.ask(5)
    assert (told.value.status, told.value.retry_seconds) == (status, 7.0)


def test_a_refusal_need_not_say_why(agent: TlsAgent, client: AgentClient) -> None:
    agent.answer, agent.headers = (502, {}), {"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}
    with pytest.raises(Refused, match="does not say why") as told:
        client.ask(5)
    assert told.value.retry_seconds == 0.0


def test_an_answer_that_makes_no_sense_is_no_reading(agent: TlsAgent, client: AgentClient) -> None:
    agent.answer = (200, {"hello": "world"})
    with pytest.raises(BadReadings):
        client.ask(5)


def test_another_nodes_agent_gets_no_token(tmp_path: Path, authority: Authority, folder: Path) -> None:
    with running(tmp_path, authority, node="node-b") as other:
        client = AgentClient("127.0.0.1", other.port, NODE, folder)
        with pytest.raises(NoAgent, match=r"not trusted as node-a\.agents\.ballast\.dev"):
            client.ask(5)
        assert other.tokens == []


def test_an_agent_of_another_authority_gets_no_token(tmp_path: Path, folder: Path) -> None:
    with running(tmp_path, Authority()) as stranger:
        client = AgentClient("127.0.0.1", stranger.port, NODE, folder)
        with pytest.raises(NoAgent, match="not trusted"):
            client.ask(5)
        assert stranger.tokens == []


def test_a_new_token_is_used_as_soon_as_it_is_there(
    agent: TlsAgent, client: AgentClient, folder: Path, authority: Authority
) -> None:
    client.ask(5)
    grant(folder, authority, "new.token.now")
    client.ask(5)
    assert agent.tokens == [TOKEN, "new.token.now"]
    assert agent.connections == 1  # the authorities are the same


def test_new_authorities_hold_at_once_for_an_open_connection(
    agent: TlsAgent, client: AgentClient, folder: Path, authority: Authority
) -> None:
    client.ask(5)
    grant(folder, Authority())
    with pytest.raises(NoAgent, match="not trusted"):
        client.ask(5)
    grant(folder, authority)
    client.ask(5)


def test_what_cannot_be_read_names_the_file_and_is_tried_again(
    client: AgentClient, folder: Path, authority: Authority
) -> None:
    for name in (TOKEN_FILE, CA_FILE):
        (folder / name).unlink()
        with pytest.raises(NoAccess, match=str(folder / name)):
            client.ask(5)
        grant(folder, authority)
        client.ask(5)


def test_authorities_that_are_none_are_tried_again(client: AgentClient, folder: Path, authority: Authority) -> None:
    client.ask(5)
    (folder / CA_FILE).write_text("none")
    for _ in range(2):
        with pytest.raises(NoAccess, match="holds no certificates"):
            client.ask(5)
    grant(folder, authority)
    client.ask(5)


def test_an_agent_that_says_nothing_is_given_up(agent: TlsAgent, client: AgentClient) -> None:
    agent.is_deaf = True
    begun = time.monotonic()
    with pytest.raises(NoAgent, match="does not answer"):
        client.ask(0.2)
    assert time.monotonic() - begun < 4  # it would be deaf for five
    agent.is_deaf = False
    assert client.ask(5).pod_uid == POD_UID


def test_no_token_stands_in_a_message(agent: TlsAgent, client: AgentClient, folder: Path) -> None:
    port = agent.port
    agent.close()
    with pytest.raises(NoAgent, match=f"127.0.0.1 port {port} does not answer") as told:
        client.ask(0.5)
    assert TOKEN not in str(told.value)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_the_node_may_have_an_ipv6_address(tmp_path: Path, authority: Authority, folder: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with running(tmp_path, authority, host="::1") as agent:
        client = AgentClient("::1", agent.port, NODE, folder)
        assert client.ask(5).pod_uid == POD_UID
        client.close()
