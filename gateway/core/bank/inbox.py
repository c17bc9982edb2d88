"""What an inbox is asked for."""

from enum import StrEnum


class Filter(StrEnum):
    """Which conversations (F199 to F202). All but the last leave out what is archived."""

    ALL = "all"
    UNREAD = "unread"
    NEEDS_ATTENTION = "needs_attention"
    ARCHIVED = "archived"


class Order(StrEnum):
    """By the person's last text; of those that need attention by how long they have waited."""

    NEWEST = "newest"
    OLDEST = "oldest"
