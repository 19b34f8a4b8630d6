"""Domains of envelope senders, and the registrable part of them."""

from functools import cache, lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PublicSuffixList


def sender_domains(senders: pa.DictionaryArray) -> pa.DictionaryArray:
    """What follows each sender's last @, lower case and without a final dot.

    Null where there is no sender, no @ in it, or nothing behind the @.
    """
    parts = pc.split_pattern(senders.dictionary, "@", max_splits=1, reverse=True)
    last = parts.flatten().take(pc.subtract(parts.offsets[1:], 1))
    has_at = pc.equal(pc.list_value_length(parts), 2)
    behind = pc.if_else(has_at, last, pa.scalar(None, pa.string())).dictionary_encode()
    # Senders share their domains, so there is much less to spell alike now.
    domain = pc.replace_substring_regex(pc.utf8_lower(behind.dictionary), r"\.$", "")
    domain = pc.if_else(pc.equal(domain, ""), pa.scalar(None, pa.string()), domain)
    return _mapped(senders, _mapped(behind, domain))


def registrable_domains(domains: pa.DictionaryArray) -> pa.DictionaryArray:
    """The part of each domain that someone registered, by the public suffix list.

    Null where there is no domain, or nothing registrable in it: an address literal, an empty
    label, a bare suffix.
    """
    registrable = [_registrable(domain) for domain in domains.dictionary.to_pylist()]
    return _mapped(domains, pa.array(registrable, pa.string()))


def _mapped(words: pa.DictionaryArray, meanings: pa.StringArray) -> pa.DictionaryArray:
    """The meaning of every word, given that of every distinct word."""
    distinct = meanings.dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(words.indices), distinct.dictionary)


@lru_cache(maxsize=1 << 16)
def _registrable(domain: str) -> str | None:
    is_literal = domain.startswith("[") or domain.replace(".", "").isdigit()
    if is_literal or "" in domain.split("."):
        return None
    return _suffixes().privatesuffix(domain)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
