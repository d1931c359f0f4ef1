-- Tables of our own beside Magento's: what changed under cached callers, and who runs a job.

-- One row a subject, moved to the end whenever the subject changes, so that the table never outgrows the accounts. Kind is 1 for
-- a consumer, 2 for an admin, 3 for a customer, and 0 for the small tables that every decision needs. Whoever polls asks for
-- the rows behind the last one seen. The triggers fire for every writer, a shell included.
CREATE TABLE portcullis_change (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind BIGINT NOT NULL,
    subject BIGINT NOT NULL
);
CREATE INDEX PORTCULLIS_CHANGE_KIND_SUBJECT ON portcullis_change (kind, subject);

-- Numbers must come into sight in their order: a poller that has seen 11 never asks for 10 again. So whoever will write to the feed
-- takes its lock, the lock of a change, before it touches a row, and has it until its transaction ends.
CREATE FUNCTION portcullis_lock_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1886548, hashtext(TG_TABLE_SCHEMA::text));
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_note(noted_kind BIGINT, noted_subject BIGINT) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF noted_subject IS NOT NULL THEN
        DELETE FROM portcullis_change WHERE kind = noted_kind AND subject = noted_subject;
        INSERT INTO portcullis_change (kind, subject) VALUES (noted_kind, noted_subject);
    END IF;
END $$;

CREATE FUNCTION portcullis_token_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(1, OLD.consumer_id), portcullis_note(2, OLD.admin_id), portcullis_note(3, OLD.customer_id);
    IF TG_OP = 'UPDATE' THEN
        PERFORM portcullis_note(1, NEW.consumer_id), portcullis_note(2, NEW.admin_id), portcullis_note(3, NEW.customer_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_consumer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(1, OLD.entity_id);
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_integration_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(1, OLD.consumer_id);
    IF TG_OP = 'UPDATE' THEN
        PERFORM portcullis_note(1, NEW.consumer_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_admin_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(2, OLD.user_id);
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_customer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(3, OLD.entity_id);
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_revocation_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(NEW.user_type_id, NEW.user_id);
    RETURN NULL;
END $$;

CREATE FUNCTION portcullis_table_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(0, 0);
    RETURN NULL;
END $$;

CREATE TRIGGER portcullis_token_changed_locks BEFORE UPDATE OF consumer_id, admin_id, customer_id, type, token, secret, revoked, user_type, created_at OR DELETE 
    ON oauth_token FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_token_changed AFTER UPDATE OF consumer_id, admin_id, customer_id, type, token, secret, revoked, user_type, created_at OR DELETE 
    ON oauth_token FOR EACH ROW EXECUTE FUNCTION portcullis_token_changed();
CREATE TRIGGER portcullis_consumer_changed_locks BEFORE UPDATE OF entity_id, key, secret OR DELETE ON oauth_consumer FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_consumer_changed AFTER UPDATE OF entity_id, key, secret OR DELETE ON oauth_consumer FOR EACH ROW EXECUTE FUNCTION portcullis_consumer_changed();
CREATE TRIGGER portcullis_integration_changed_locks BEFORE UPDATE OF integration_id, name, status, consumer_id OR DELETE ON integration FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_integration_changed AFTER UPDATE OF integration_id, name, status, consumer_id OR DELETE ON integration FOR EACH ROW EXECUTE FUNCTION portcullis_integration_changed();
CREATE TRIGGER portcullis_admin_changed_locks BEFORE UPDATE OF user_id, is_active OR DELETE ON admin_user FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_admin_changed AFTER UPDATE OF user_id, is_active OR DELETE ON admin_user FOR EACH ROW EXECUTE FUNCTION portcullis_admin_changed();
CREATE TRIGGER portcullis_customer_changed_locks BEFORE UPDATE OF entity_id, website_id, is_active, session_cutoff OR DELETE ON customer_entity FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_customer_changed AFTER UPDATE OF entity_id, website_id, is_active, session_cutoff OR DELETE ON customer_entity FOR EACH ROW EXECUTE FUNCTION portcullis_customer_changed();

-- A row of another kind of user revokes nothing that is cached. Its end revives nobody, so deleting is no change.
CREATE TRIGGER portcullis_revocation_made_locks BEFORE INSERT OR UPDATE ON jwt_auth_revoked FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_revocation_made AFTER INSERT OR UPDATE ON jwt_auth_revoked FOR EACH ROW
    WHEN (NEW.user_type_id IN (2, 3)) EXECUTE FUNCTION portcullis_revocation_changed();

CREATE TRIGGER portcullis_role_changed_locks BEFORE INSERT OR UPDATE OR DELETE ON authorization_role FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_role_changed AFTER INSERT OR UPDATE OR DELETE ON authorization_role FOR EACH ROW EXECUTE FUNCTION portcullis_table_changed();
CREATE TRIGGER portcullis_rule_changed_locks BEFORE INSERT OR UPDATE OR DELETE ON authorization_rule FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_rule_changed AFTER INSERT OR UPDATE OR DELETE ON authorization_rule FOR EACH ROW EXECUTE FUNCTION portcullis_table_changed();
CREATE TRIGGER portcullis_setting_changed_locks BEFORE INSERT OR UPDATE OR DELETE ON core_config_data FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_setting_changed AFTER INSERT OR UPDATE OR DELETE ON core_config_data FOR EACH ROW EXECUTE FUNCTION portcullis_table_changed();

-- Who runs a job, until when, and when it was last done. Times are seconds since 1970.
CREATE TABLE portcullis_job (
    name TEXT PRIMARY KEY,
    owner TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0,
    finished_at BIGINT
);
