-- psql -f roles.sql as a superuser, once. Put a password of your own.
CREATE ROLE textbank LOGIN PASSWORD 'change-me';
CREATE DATABASE textbank OWNER textbank;
ALTER ROLE textbank IN DATABASE textbank SET synchronous_commit = on;
\connect textbank
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO textbank;
