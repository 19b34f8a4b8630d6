"""Domains of senders, and what of them somebody registered."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.domains import registrable_domains, sender_domains


def coded(*words: str | None) -> pa.DictionaryArray:
    return pa.array(words, pa.string()).dictionary_encode()


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        pytest.param("a@example.org", "example.org", id="ordinary"),
        pytest.param("a@EXAMPLE.Org", "example.org", id="lower case"),
        pytest.param("a@example.org.", "example.org", id="without a final dot"),
        pytest.param('"a@b"@example.org', "example.org", id="after the last @"),
        pytest.param("@example.org", "example.org", id="no local part"),
        pytest.param("a@[192.0.2.1]", "[192.0.2.1]", id="address literal"),
        pytest.param("a@例え.jp", "例え.jp", id="not ASCII"),
        pytest.param("a@ÄRGER.de", "ärger.de", id="lower case beyond ASCII"),
        pytest.param("", None, id="null sender"),
        pytest.param("postmaster", None, id="no @"),
        pytest.param("a@", None, id="nothing behind the @"),
        pytest.param("a@.", None, id="a lone dot"),
        pytest.param(None, None, id="no sender"),
    ],
)
def test_the_domain_of_a_sender(sender: str | None, domain: str | None) -> None:
    assert sender_domains(coded(sender)).to_pylist() == [domain]


@pytest.mark.parametrize(
    ("domain", "registrable"),
    [
        pytest.param("example.org", "example.org", id="itself"),
        pytest.param("a..example.org", None, id="an empty label"),
        pytest.param("mail.a.example.org", "example.org", id="of a host"),
        pytest.param("mail.example.co.jp", "example.co.jp", id="a suffix of two labels"),
        pytest.param("a.b.example.kobe.jp", "b.example.kobe.jp", id="a wildcard suffix"),
        pytest.param("www.city.kobe.jp", "city.kobe.jp", id="an exception to a wildcard"),
        pytest.param("co.jp", None, id="a bare suffix"),
        pytest.param("jp", None, id="a top-level domain"),
        pytest.param("[192.0.2.1]", None, id="address literal"),
        pytest.param("[ipv6:2001:db8::1]", None, id="IPv6 literal"),
        pytest.param("192.0.2.1", None, id="a bare address"),
        pytest.param("www.例え.jp", "例え.jp", id="not ASCII"),
        pytest.param("www.xn--r8jz45g.jp", "xn--r8jz45g.jp", id="punycode"),
        pytest.param(None, None, id="no domain"),
    ],
)
def test_the_registrable_part_of_a_domain(domain: str | None, registrable: str | None) -> None:
    assert registrable_domains(coded(domain)).to_pylist() == [registrable]


def test_many_senders_share_their_domains() -> None:
    domains = sender_domains(coded("a@x.jp", None, "b@X.jp.", "c", "d@y.jp", "a@x.jp"))
    assert domains.to_pylist() == ["x.jp", None, "x.jp", None, "y.jp", "x.jp"]
    assert domains.dictionary.to_pylist() == ["x.jp", "y.jp"]
    assert registrable_domains(domains).to_pylist() == domains.to_pylist()


def test_words_that_no_row_uses_do_not_matter() -> None:
    senders = coded("a@x.jp", "b@y.jp", None)
    assert sender_domains(senders.slice(1)).to_pylist() == ["y.jp", None]


def test_none_at_all() -> None:
    assert len(registrable_domains(sender_domains(coded()))) == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(), st.text("a.@[]-", max_size=12)), max_size=10))
def test_whatever_clients_send_has_a_domain_or_none(senders: list[str | None]) -> None:
    domains = sender_domains(coded(*senders))
    registrable = registrable_domains(domains)
    for sender, domain, part in zip(
        senders, domains.to_pylist(), registrable.to_pylist(), strict=True
    ):
        assert domain != ""
        assert (domain is None) or (sender is not None and "@" in sender)
        assert part is None or (domain is not None and domain.endswith(part) and "." in part)
