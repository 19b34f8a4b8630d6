"""What can go wrong, said so that an administrator can act on it: where, what, and what to do."""


class AcceptlakeError(Exception):
    """Base of all errors that are the input's or the user's; the message is for them."""


class SourceError(AcceptlakeError):
    """A log folder or file is not what it should be."""


class ShrunkError(SourceError):
    """A log file no longer begins with what the lake already holds of it."""


class LakeError(AcceptlakeError):
    """A lake is missing, not a lake, or held by someone else."""


class QueryError(AcceptlakeError):
    """SQL from the command line is wrong or not allowed."""


def printable(text: str) -> str:
    """Text from a client or a file name, safe for a terminal: controls become `\\xNN` escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
