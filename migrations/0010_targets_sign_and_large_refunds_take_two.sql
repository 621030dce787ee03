-- Targets with a key pair sign what they post, and can be revoked; a large refund takes two people.
SET ROLE firingline_owner;

ALTER TABLE auth.device ADD COLUMN public_key text;
ALTER TABLE auth.device ADD COLUMN revoked boolean NOT NULL DEFAULT false;
ALTER TABLE auth.device ALTER COLUMN revoked DROP DEFAULT;

CREATE OR REPLACE VIEW auth.devices AS
    SELECT device, lane, public_key FROM auth.device WHERE NOT revoked;

ALTER TABLE payment.balance ADD COLUMN proposed_minor bigint;
ALTER TABLE payment.balance ADD COLUMN proposed_by uuid;

RESET ROLE;
