"""The boards, one file each, in the order in which an operator asks."""

from typing import Final

from dashboards.boards import (
    bank_day,
    carriers,
    cost,
    load_test,
    numbers,
    objectives,
    queues,
    red,
    runtime,
)
from dashboards.panels import Board

BOARDS: Final[tuple[Board, ...]] = (
    bank_day.BOARD,
    red.BOARD,
    carriers.BOARD,
    queues.BOARD,
    numbers.BOARD,
    runtime.BOARD,
    objectives.BOARD,
    load_test.BOARD,
    cost.BOARD,
)
