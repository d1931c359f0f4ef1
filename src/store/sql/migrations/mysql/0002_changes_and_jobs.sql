-- Tables of our own beside Magento's: what changed under cached callers, and who runs a job.

-- One row a subject, numbered anew whenever the subject changes, so that the table never outgrows the accounts. Kind is 1 for
-- a consumer, 2 for an admin, 3 for a customer, and 0 for the small tables that every decision needs. Whoever polls asks for
-- the rows behind the last one seen. The triggers fire for every writer, a shell included.
CREATE TABLE portcullis_change (
    seq BIGINT NOT NULL,
    kind INT NOT NULL,
    subject BIGINT NOT NULL,
    PRIMARY KEY (kind, subject),
    UNIQUE KEY PORTCULLIS_CHANGE_SEQ (seq)
) ENGINE=InnoDB;

-- Numbers must come into sight in their order: a poller that has seen 11 never asks for 10 again. Whoever writes to the feed holds
-- this row until its transaction ends, which an AUTO_INCREMENT would not do.
CREATE TABLE portcullis_change_number (
    id INT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
) ENGINE=InnoDB;
INSERT INTO portcullis_change_number (id, seq) VALUES (1, 0);

CREATE PROCEDURE portcullis_note(IN noted_kind INT, IN noted_subject BIGINT) MODIFIES SQL DATA
BEGIN
    DECLARE next_seq BIGINT;
    IF noted_subject IS NOT NULL THEN
        UPDATE portcullis_change_number SET seq = seq + 1 WHERE id = 1;
        SELECT seq INTO next_seq FROM portcullis_change_number WHERE id = 1;
        INSERT INTO portcullis_change (seq, kind, subject) VALUES (next_seq, noted_kind, noted_subject)
            ON DUPLICATE KEY UPDATE seq = next_seq;
    END IF;
END;

CREATE PROCEDURE portcullis_note_owners(IN of_consumer BIGINT, IN of_admin BIGINT, IN of_customer BIGINT) MODIFIES SQL DATA
BEGIN
    CALL portcullis_note(1, of_consumer);
    CALL portcullis_note(2, of_admin);
    CALL portcullis_note(3, of_customer);
END;

-- A row that goes with the one that it refers to fires no trigger in MySQL. So the row that it refers to tells of both, before
-- they go: a token may have more than one owner.
CREATE PROCEDURE portcullis_note_tokens(IN by_consumer BIGINT, IN by_admin BIGINT, IN by_customer BIGINT) MODIFIES SQL DATA
BEGIN
    DECLARE is_done INT DEFAULT 0;
    DECLARE of_consumer, of_admin, of_customer BIGINT;
    DECLARE owners CURSOR FOR
        SELECT DISTINCT consumer_id, admin_id, customer_id FROM oauth_token WHERE consumer_id = by_consumer
        UNION SELECT DISTINCT consumer_id, admin_id, customer_id FROM oauth_token WHERE admin_id = by_admin
        UNION SELECT DISTINCT consumer_id, admin_id, customer_id FROM oauth_token WHERE customer_id = by_customer;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = 1;
    OPEN owners;
    each_owner: LOOP
        FETCH owners INTO of_consumer, of_admin, of_customer;
        IF is_done THEN
            LEAVE each_owner;
        END IF;
        CALL portcullis_note_owners(of_consumer, of_admin, of_customer);
    END LOOP;
    CLOSE owners;
END;

CREATE PROCEDURE portcullis_note_customers(IN of_website BIGINT) MODIFIES SQL DATA
BEGIN
    DECLARE is_done INT DEFAULT 0;
    DECLARE customer BIGINT;
    DECLARE customers CURSOR FOR SELECT entity_id FROM customer_entity WHERE website_id = of_website;
    DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_done = 1;
    OPEN customers;
    each_customer: LOOP
        FETCH customers INTO customer;
        IF is_done THEN
            LEAVE each_customer;
        END IF;
        CALL portcullis_note(3, customer);
    END LOOP;
    CLOSE customers;
END;

CREATE TRIGGER portcullis_token_changed AFTER UPDATE ON oauth_token FOR EACH ROW BEGIN
    IF NOT (OLD.consumer_id <=> NEW.consumer_id AND OLD.admin_id <=> NEW.admin_id AND OLD.customer_id <=> NEW.customer_id
        AND CAST(OLD.type AS BINARY) = CAST(NEW.type AS BINARY) AND CAST(OLD.token AS BINARY) = CAST(NEW.token AS BINARY)
        AND CAST(OLD.secret AS BINARY) = CAST(NEW.secret AS BINARY) AND OLD.revoked = NEW.revoked
        AND OLD.user_type <=> NEW.user_type AND OLD.created_at = NEW.created_at) THEN
        CALL portcullis_note_owners(OLD.consumer_id, OLD.admin_id, OLD.customer_id);
        CALL portcullis_note_owners(NEW.consumer_id, NEW.admin_id, NEW.customer_id);
    END IF;
END;
CREATE TRIGGER portcullis_token_deleted AFTER DELETE ON oauth_token FOR EACH ROW
    CALL portcullis_note_owners(OLD.consumer_id, OLD.admin_id, OLD.customer_id);

CREATE TRIGGER portcullis_consumer_changed AFTER UPDATE ON oauth_consumer FOR EACH ROW BEGIN
    IF NOT (CAST(OLD."key" AS BINARY) = CAST(NEW."key" AS BINARY) AND CAST(OLD.secret AS BINARY) = CAST(NEW.secret AS BINARY))
    THEN
        CALL portcullis_note(1, OLD.entity_id);
    END IF;
END;
CREATE TRIGGER portcullis_consumer_deleted BEFORE DELETE ON oauth_consumer FOR EACH ROW BEGIN
    CALL portcullis_note_tokens(OLD.entity_id, NULL, NULL);
    CALL portcullis_note(1, OLD.entity_id);
END;

CREATE TRIGGER portcullis_integration_changed AFTER UPDATE ON integration FOR EACH ROW BEGIN
    IF NOT (CAST(OLD.name AS BINARY) = CAST(NEW.name AS BINARY) AND OLD.status = NEW.status
        AND OLD.consumer_id <=> NEW.consumer_id) THEN
        CALL portcullis_note(1, OLD.consumer_id);
        CALL portcullis_note(1, NEW.consumer_id);
    END IF;
END;
CREATE TRIGGER portcullis_integration_deleted AFTER DELETE ON integration FOR EACH ROW
    CALL portcullis_note(1, OLD.consumer_id);

CREATE TRIGGER portcullis_admin_changed AFTER UPDATE ON admin_user FOR EACH ROW BEGIN
    IF OLD.is_active <> NEW.is_active THEN
        CALL portcullis_note(2, OLD.user_id);
    END IF;
END;
CREATE TRIGGER portcullis_admin_deleted BEFORE DELETE ON admin_user FOR EACH ROW BEGIN
    CALL portcullis_note_tokens(NULL, OLD.user_id, NULL);
    CALL portcullis_note(2, OLD.user_id);
END;

CREATE TRIGGER portcullis_customer_changed AFTER UPDATE ON customer_entity FOR EACH ROW BEGIN
    IF NOT (OLD.website_id <=> NEW.website_id AND OLD.is_active = NEW.is_active
        AND OLD.session_cutoff <=> NEW.session_cutoff) THEN
        CALL portcullis_note(3, OLD.entity_id);
    END IF;
END;
CREATE TRIGGER portcullis_customer_deleted BEFORE DELETE ON customer_entity FOR EACH ROW BEGIN
    CALL portcullis_note_tokens(NULL, NULL, OLD.entity_id);
    CALL portcullis_note(3, OLD.entity_id);
END;
CREATE TRIGGER portcullis_website_deleted BEFORE DELETE ON store_website FOR EACH ROW
    CALL portcullis_note_customers(OLD.website_id);

-- A row of another kind of user revokes nothing that is cached. Its end revives nobody, so deleting is no change.
CREATE TRIGGER portcullis_revocation_made AFTER INSERT ON jwt_auth_revoked FOR EACH ROW BEGIN
    IF NEW.user_type_id IN (2, 3) THEN
        CALL portcullis_note(NEW.user_type_id, NEW.user_id);
    END IF;
END;
CREATE TRIGGER portcullis_revocation_moved AFTER UPDATE ON jwt_auth_revoked FOR EACH ROW BEGIN
    IF NEW.user_type_id IN (2, 3) THEN
        CALL portcullis_note(NEW.user_type_id, NEW.user_id);
    END IF;
END;

CREATE TRIGGER portcullis_role_made AFTER INSERT ON authorization_role FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_role_changed AFTER UPDATE ON authorization_role FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_role_deleted AFTER DELETE ON authorization_role FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_rule_made AFTER INSERT ON authorization_rule FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_rule_changed AFTER UPDATE ON authorization_rule FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_rule_deleted AFTER DELETE ON authorization_rule FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_setting_made AFTER INSERT ON core_config_data FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_setting_changed AFTER UPDATE ON core_config_data FOR EACH ROW CALL portcullis_note(0, 0);
CREATE TRIGGER portcullis_setting_deleted AFTER DELETE ON core_config_data FOR EACH ROW CALL portcullis_note(0, 0);

-- Who runs a job, until when, and when it was last done. Times are seconds since 1970.
CREATE TABLE portcullis_job (
    name VARCHAR(64) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    owner VARCHAR(64) COLLATE utf8mb4_bin,
    leased_until BIGINT NOT NULL DEFAULT 0,
    finished_at BIGINT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
