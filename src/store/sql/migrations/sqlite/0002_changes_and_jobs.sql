-- Tables of our own beside Magento's: what changed under cached callers, and who runs a job.

-- One row a subject, moved to the end whenever the subject changes, so that the table never outgrows the accounts. Kind is 1 for
-- a consumer, 2 for an admin, 3 for a customer, and 0 for the small tables that every decision needs. Whoever polls asks for
-- the rows behind the last one seen. The triggers fire for every writer, a shell on the file included.
CREATE TABLE portcullis_change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind INTEGER NOT NULL,
    subject INTEGER NOT NULL
) STRICT;
-- Not unique: a conflict clause of the statement that fires a trigger would reach the insert, and could swallow it.
CREATE INDEX PORTCULLIS_CHANGE_KIND_SUBJECT ON portcullis_change (kind, subject);

CREATE TRIGGER portcullis_change_moves BEFORE INSERT ON portcullis_change BEGIN
    DELETE FROM portcullis_change WHERE kind = NEW.kind AND subject = NEW.subject;
END;

CREATE TRIGGER portcullis_token_changed
AFTER UPDATE OF consumer_id, admin_id, customer_id, type, token, secret, revoked, user_type, created_at ON oauth_token BEGIN
    INSERT INTO portcullis_change (kind, subject)
    SELECT kind, subject FROM (
        SELECT 1 AS kind, OLD.consumer_id AS subject
        UNION SELECT 2, OLD.admin_id
        UNION SELECT 3, OLD.customer_id
        UNION SELECT 1, NEW.consumer_id
        UNION SELECT 2, NEW.admin_id
        UNION SELECT 3, NEW.customer_id
    ) WHERE subject IS NOT NULL;
END;
CREATE TRIGGER portcullis_token_deleted AFTER DELETE ON oauth_token BEGIN
    INSERT INTO portcullis_change (kind, subject)
    SELECT kind, subject FROM (
        SELECT 1 AS kind, OLD.consumer_id AS subject
        UNION SELECT 2, OLD.admin_id
        UNION SELECT 3, OLD.customer_id
    ) WHERE subject IS NOT NULL;
END;

CREATE TRIGGER portcullis_consumer_changed AFTER UPDATE OF entity_id, key, secret ON oauth_consumer BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (1, OLD.entity_id);
END;
CREATE TRIGGER portcullis_consumer_deleted AFTER DELETE ON oauth_consumer BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (1, OLD.entity_id);
END;

CREATE TRIGGER portcullis_integration_changed
AFTER UPDATE OF integration_id, name, status, consumer_id ON integration BEGIN
    INSERT INTO portcullis_change (kind, subject)
    SELECT 1, subject FROM (SELECT OLD.consumer_id AS subject UNION SELECT NEW.consumer_id) WHERE subject IS NOT NULL;
END;
CREATE TRIGGER portcullis_integration_deleted AFTER DELETE ON integration WHEN OLD.consumer_id IS NOT NULL BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (1, OLD.consumer_id);
END;

CREATE TRIGGER portcullis_admin_changed AFTER UPDATE OF user_id, is_active ON admin_user BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (2, OLD.user_id);
END;
CREATE TRIGGER portcullis_admin_deleted AFTER DELETE ON admin_user BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (2, OLD.user_id);
END;

CREATE TRIGGER portcullis_customer_changed
AFTER UPDATE OF entity_id, website_id, is_active, session_cutoff ON customer_entity BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (3, OLD.entity_id);
END;
CREATE TRIGGER portcullis_customer_deleted AFTER DELETE ON customer_entity BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (3, OLD.entity_id);
END;

-- A row of another kind of user revokes nothing that is cached. Its end revives nobody, so deleting is no change.
CREATE TRIGGER portcullis_revocation_made AFTER INSERT ON jwt_auth_revoked WHEN NEW.user_type_id IN (2, 3) BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (NEW.user_type_id, NEW.user_id);
END;
CREATE TRIGGER portcullis_revocation_moved AFTER UPDATE ON jwt_auth_revoked WHEN NEW.user_type_id IN (2, 3) BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (NEW.user_type_id, NEW.user_id);
END;

CREATE TRIGGER portcullis_role_made AFTER INSERT ON authorization_role BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_role_changed AFTER UPDATE ON authorization_role BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_role_deleted AFTER DELETE ON authorization_role BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_rule_made AFTER INSERT ON authorization_rule BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_rule_changed AFTER UPDATE ON authorization_rule BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_rule_deleted AFTER DELETE ON authorization_rule BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_setting_made AFTER INSERT ON core_config_data BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_setting_changed AFTER UPDATE ON core_config_data BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;
CREATE TRIGGER portcullis_setting_deleted AFTER DELETE ON core_config_data BEGIN
    INSERT INTO portcullis_change (kind, subject) VALUES (0, 0);
END;

-- Who runs a job, until when, and when it was last done. Times are seconds since 1970.
CREATE TABLE portcullis_job (
    name TEXT PRIMARY KEY NOT NULL,
    owner TEXT,
    leased_until INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER
) STRICT;
