-- Whoever accepted an invitation is vouched for by the campaign that invited them, and by no other: it may have been
-- handed to anybody. Who was there before has proven their address, or is taken to have.
ALTER TABLE memberships ADD COLUMN vouched boolean NOT NULL DEFAULT false;
