"""A component of which nothing answers: the key of the inventory that is named for it."""

from __future__ import annotations

import pytest

from ansible_collections.halab.stack.plugins.module_utils import facts

REFUSED = "GET http://10.9.0.1:8008/patroni: Connection refused"


def advice(component: str, *errors: str) -> str:
    return "\n".join(facts.advice(component, errors))


def test_a_component_of_which_one_member_answers_is_as_the_inventory_says() -> None:
    assert advice("patroni", REFUSED, "", REFUSED) == ""
    assert advice("patroni") == ""


@pytest.mark.parametrize(
    ("component", "error", "key"),
    [
        ("patroni", REFUSED, "patroni_rest_port"),
        ("etcd", "https://10.9.0.1:2379/v3/maintenance/status: no answer within 3 s", "etcd_client_port"),
        ("haproxy", "GET http://10.9.0.1:7000/stats;csv: status 404", "haproxy_stats_port"),
        (
            "patroni",
            "GET https://10.9.0.1:8008/patroni: [SSL: WRONG_VERSION_NUMBER] wrong version number",
            "patroni_rest_tls",
        ),
        ("patroni", "GET https://10.9.0.1:8008/patroni: the server's certificate is refused: unable", "halab_ca_file"),
        ("etcd", "status: Client sent an HTTP request to an HTTPS server.", "etcd_tls"),
        ("redis", "10.9.0.1 port 6379: the server closed the connection", "redis_tls"),
        ("sentinel", "10.9.0.1 port 26379: Connection refused", "redis_sentinel_port"),
        ("redis", "WRONGPASS invalid username-password pair", "redis_admin_password"),
    ],
)
def test_the_key_that_is_named(component: str, error: str, key: str) -> None:
    assert key in advice(component, error, error)


def test_what_says_a_key_itself_gets_no_other() -> None:
    error = "GET http://10.9.0.1:7000/stats;csv: status 401; check haproxy_stats_user and haproxy_stats_password"
    assert not list(facts.haproxy_advice({"balancers": [{"error": error}]}))
    assert list(facts.haproxy_advice({"balancers": [{"error": REFUSED}]}))


def test_every_component_is_read_as_its_module_gives_it() -> None:
    etcd = {"endpoints": [{"version": "", "error": REFUSED}]}
    patroni = {"members": [{"error": REFUSED}, {"error": None}]}
    redis = {"members": [{"redis": {"error": REFUSED}, "sentinel": {"error": ""}}]}
    assert "etcd_client_port" in next(facts.etcd_advice(etcd))
    assert not list(facts.patroni_advice(patroni))
    assert ["redis_port" in said for said in facts.redis_advice(redis)] == [True]


def test_redis_without_sentinels_has_none_to_look_at() -> None:
    redis = {"members": [{"redis": {"error": REFUSED}, "sentinel": None}, {"redis": {"error": ""}, "sentinel": None}]}
    assert list(facts.redis_advice(redis)) == []
