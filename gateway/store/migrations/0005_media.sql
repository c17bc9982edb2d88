-- Pictures of a message: their addresses, from which the provider fetches them. A text with one is an MMS (F013).

ALTER TABLE messages ADD COLUMN media text[];
