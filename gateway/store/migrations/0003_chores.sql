-- Work that one of all workers does now and then: whoever moves `due_at` on has taken it.

CREATE TABLE chores (
    name            text PRIMARY KEY,
    due_at          timestamptz NOT NULL,
    done_until      timestamptz                 -- everything before is done; null: never done
);
