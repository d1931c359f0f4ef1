-- What a rotation leaves valid for a while. Not Magento's: a Magento knows one secret and one token of a consumer.
--
-- A consumer has at most one older secret, encrypted as the current one in oauth_consumer. An older access token keeps its
-- own row in oauth_token; a row here says when it ends, and that it is no longer the consumer's current one.

CREATE TABLE portcullis_older_secret (
    consumer_id INT UNSIGNED NOT NULL PRIMARY KEY,
    secret VARCHAR(128) COLLATE utf8mb4_bin NOT NULL,
    ends_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY PORTCULLIS_OLDER_SECRET_ENDS_AT (ends_at),
    CONSTRAINT PORTCULLIS_OLDER_SECRET_CONSUMER_ID FOREIGN KEY (consumer_id)
        REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE portcullis_older_token (
    token_id INT UNSIGNED NOT NULL PRIMARY KEY,
    ends_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY PORTCULLIS_OLDER_TOKEN_ENDS_AT (ends_at),
    CONSTRAINT PORTCULLIS_OLDER_TOKEN_TOKEN_ID FOREIGN KEY (token_id) REFERENCES oauth_token (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB;

-- A cached caller must not outlive the end that its token was given.
CREATE TRIGGER portcullis_older_token_made AFTER INSERT ON portcullis_older_token FOR EACH ROW
    CALL portcullis_note(1, (SELECT consumer_id FROM oauth_token WHERE entity_id = NEW.token_id));
CREATE TRIGGER portcullis_older_token_moved AFTER UPDATE ON portcullis_older_token FOR EACH ROW
    CALL portcullis_note(1, (SELECT consumer_id FROM oauth_token WHERE entity_id = NEW.token_id));
