"""Domains of envelope senders, and the registrable part of them."""

from collections.abc import Callable
from functools import cache, lru_cache

import pyarrow as pa
from publicsuffixlist import PublicSuffixList


def sender_domains(senders: pa.DictionaryArray) -> pa.DictionaryArray:
    """What follows each sender's last @, lower case and without a final dot.

    Null where there is no sender, no @ in it, or nothing behind the @.
    """
    return _map_words(senders, _domain)


def registrable_domains(domains: pa.DictionaryArray) -> pa.DictionaryArray:
    """The part of each domain that someone registered, by the public suffix list.

    Null where there is no domain, or nothing registrable in it: an address literal, a bare suffix.
    """
    return _map_words(domains, _registrable)


def _map_words(
    words: pa.DictionaryArray, function: Callable[[str], str | None]
) -> pa.DictionaryArray:
    # Each distinct word is looked at once; what it means is looked up for the rest.
    mapped = pa.array([function(word) for word in words.dictionary.to_pylist()], pa.string())
    distinct = mapped.dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(words.indices), distinct.dictionary)


def _domain(sender: str) -> str | None:
    return sender.rpartition("@")[2].lower().removesuffix(".") or None if "@" in sender else None


@lru_cache(maxsize=1 << 16)
def _registrable(domain: str) -> str | None:
    if domain.startswith("[") or domain.replace(".", "").isdigit():
        return None
    return _suffixes().privatesuffix(domain)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
