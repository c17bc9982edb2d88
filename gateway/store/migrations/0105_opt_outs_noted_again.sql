-- Who has left already may leave once more, by a volunteer's note: a START of before that lifts nothing. `opted_out_at`
-- stays when they left first.
ALTER TABLE opt_outs ADD COLUMN noted_again_at timestamptz;
