"""What PostgreSQL's log tells of a statement's processor time, as it writes it."""

from benchmarks.statements import Cost, costs

LOG = """\
2026-11-30 15:11:48.686 UTC [914] LOG:  PARSE MESSAGE STATISTICS
2026-11-30 15:11:48.686 UTC [914] DETAIL:  ! system usage stats:
\t!\t0.001000 s user, 0.000500 s system, 0.000657 s elapsed
\t!\t[0.003981 s user, 0.000000 s system total]
2026-11-30 15:11:48.686 UTC [914] STATEMENT:  SELECT 1
2026-11-30 15:11:48.687 UTC [914] LOG:  EXECUTE MESSAGE STATISTICS
2026-11-30 15:11:48.687 UTC [914] DETAIL:  ! system usage stats:
\t!\t0.002000 s user, 0.000000 s system, 0.000657 s elapsed
\t!\t[0.003981 s user, 0.000000 s system total]
2026-11-30 15:11:48.687 UTC [914] STATEMENT:  SELECT 1
2026-11-30 15:11:49.000 UTC [914] LOG:  QUERY STATISTICS
2026-11-30 15:11:49.000 UTC [914] DETAIL:  ! system usage stats:
\t!\t0.010000 s user, 0.000000 s system, 0.000657 s elapsed
2026-11-30 15:11:49.000 UTC [914] STATEMENT:
\tSELECT 2
\tFROM nowhere
"""


def test_the_steps_of_a_statement_are_added_up() -> None:
    assert [
        (each.sql, each.runs, round(each.seconds, 4)) for each in costs(LOG.splitlines(keepends=True))
    ] == [
        Cost("SELECT 2 FROM nowhere", 1, 0.01),
        Cost("SELECT 1", 1, 0.0035),
    ]
