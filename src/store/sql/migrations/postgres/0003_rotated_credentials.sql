-- What a rotation leaves valid for a while. Not Magento's: a Magento knows one secret and one token of a consumer.
--
-- A consumer has at most one older secret, encrypted as the current one in oauth_consumer. An older access token keeps its
-- own row in oauth_token; a row here says when it ends, and that it is no longer the consumer's current one.

CREATE TABLE portcullis_older_secret (
    consumer_id BIGINT PRIMARY KEY REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    ends_at TIMESTAMP(0) NOT NULL
);
CREATE INDEX PORTCULLIS_OLDER_SECRET_ENDS_AT ON portcullis_older_secret (ends_at);

CREATE TABLE portcullis_older_token (
    token_id BIGINT PRIMARY KEY REFERENCES oauth_token (entity_id) ON DELETE CASCADE,
    ends_at TIMESTAMP(0) NOT NULL
);
CREATE INDEX PORTCULLIS_OLDER_TOKEN_ENDS_AT ON portcullis_older_token (ends_at);

-- A cached caller must not outlive the end that its token was given.
CREATE FUNCTION portcullis_older_token_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM portcullis_note(1, consumer_id) FROM oauth_token WHERE entity_id = NEW.token_id;
    RETURN NULL;
END $$;
CREATE TRIGGER portcullis_older_token_changed_locks BEFORE INSERT OR UPDATE ON portcullis_older_token
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis_lock_feed();
CREATE TRIGGER portcullis_older_token_changed AFTER INSERT OR UPDATE ON portcullis_older_token
    FOR EACH ROW EXECUTE FUNCTION portcullis_older_token_changed();
