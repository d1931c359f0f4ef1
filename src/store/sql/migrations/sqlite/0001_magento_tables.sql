-- The tables of Magento 2.4.6 that authentication reads and writes, name for name and column for column.
--
-- Times are text, 'YYYY-MM-DD HH:MM:SS' in UTC; a zero date of Magento's is NULL here.
-- Ids are never used twice (AUTOINCREMENT): a JWT of a deleted customer must not become the next customer's.
-- Tokens, keys and nonces compare byte by byte, SQLite's default. Names of accounts compare without regard to case, as in
-- Magento, so that two spellings of one name are neither two accounts nor two lock-outs.

CREATE TABLE store_website (
    website_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    code TEXT,
    name TEXT,
    sort_order INTEGER NOT NULL DEFAULT 0,
    default_group_id INTEGER NOT NULL DEFAULT 0,
    is_default INTEGER DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX STORE_WEBSITE_CODE ON store_website (code);
CREATE INDEX STORE_WEBSITE_SORT_ORDER ON store_website (sort_order);
CREATE INDEX STORE_WEBSITE_DEFAULT_GROUP_ID ON store_website (default_group_id);

CREATE TABLE store_group (
    group_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    website_id INTEGER NOT NULL DEFAULT 0 REFERENCES store_website (website_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    root_category_id INTEGER NOT NULL DEFAULT 0,
    default_store_id INTEGER NOT NULL DEFAULT 0,
    code TEXT
) STRICT;
CREATE UNIQUE INDEX STORE_GROUP_CODE ON store_group (code);
CREATE INDEX STORE_GROUP_WEBSITE_ID ON store_group (website_id);
CREATE INDEX STORE_GROUP_DEFAULT_STORE_ID ON store_group (default_store_id);

CREATE TABLE store (
    store_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    code TEXT,
    website_id INTEGER NOT NULL DEFAULT 0 REFERENCES store_website (website_id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL DEFAULT 0 REFERENCES store_group (group_id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    sort_order INTEGER NOT NULL DEFAULT 0,
    is_active INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX STORE_CODE ON store (code);
CREATE INDEX STORE_WEBSITE_ID ON store (website_id);
CREATE INDEX STORE_IS_ACTIVE_SORT_ORDER ON store (is_active, sort_order);
CREATE INDEX STORE_GROUP_ID ON store (group_id);

CREATE TABLE core_config_data (
    config_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    scope TEXT NOT NULL DEFAULT 'default',
    scope_id INTEGER NOT NULL DEFAULT 0,
    path TEXT NOT NULL DEFAULT 'general',
    value TEXT,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;
CREATE UNIQUE INDEX CORE_CONFIG_DATA_SCOPE_SCOPE_ID_PATH ON core_config_data (scope, scope_id, path);

CREATE TABLE admin_user (
    user_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    firstname TEXT,
    lastname TEXT,
    email TEXT,
    username TEXT COLLATE NOCASE,
    password TEXT NOT NULL,
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    logdate TEXT,
    lognum INTEGER NOT NULL DEFAULT 0,
    reload_acl_flag INTEGER NOT NULL DEFAULT 0,
    is_active INTEGER NOT NULL DEFAULT 1,
    extra TEXT,
    rp_token TEXT,
    rp_token_created_at TEXT,
    interface_locale TEXT NOT NULL DEFAULT 'en_US',
    failures_num INTEGER DEFAULT 0,
    first_failure TEXT,
    lock_expires TEXT
) STRICT;
CREATE UNIQUE INDEX ADMIN_USER_USERNAME ON admin_user (username);

CREATE TABLE admin_passwords (
    password_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id INTEGER NOT NULL DEFAULT 0 REFERENCES admin_user (user_id) ON DELETE CASCADE,
    password_hash TEXT,
    expires INTEGER NOT NULL DEFAULT 0,
    last_updated INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX ADMIN_PASSWORDS_USER_ID ON admin_passwords (user_id);

CREATE TABLE admin_user_session (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    session_id TEXT,
    user_id INTEGER REFERENCES admin_user (user_id) ON DELETE CASCADE,
    status INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ip TEXT NOT NULL
) STRICT;
CREATE INDEX ADMIN_USER_SESSION_SESSION_ID ON admin_user_session (session_id);
CREATE INDEX ADMIN_USER_SESSION_USER_ID ON admin_user_session (user_id);

CREATE TABLE customer_entity (
    entity_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    website_id INTEGER REFERENCES store_website (website_id) ON DELETE SET NULL,
    email TEXT COLLATE NOCASE,
    group_id INTEGER NOT NULL DEFAULT 0,
    store_id INTEGER DEFAULT 0 REFERENCES store (store_id) ON DELETE SET NULL,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    is_active INTEGER NOT NULL DEFAULT 1,
    disable_auto_group_change INTEGER NOT NULL DEFAULT 0,
    firstname TEXT,
    lastname TEXT,
    password_hash TEXT,
    rp_token TEXT,
    rp_token_created_at TEXT,
    confirmation TEXT,
    failures_num INTEGER DEFAULT 0,
    first_failure TEXT,
    lock_expires TEXT,
    session_cutoff TEXT
) STRICT;
CREATE UNIQUE INDEX CUSTOMER_ENTITY_EMAIL_WEBSITE_ID ON customer_entity (email, website_id);
CREATE INDEX CUSTOMER_ENTITY_STORE_ID ON customer_entity (store_id);
CREATE INDEX CUSTOMER_ENTITY_WEBSITE_ID ON customer_entity (website_id);

CREATE TABLE customer_visitor (
    visitor_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    customer_id INTEGER,
    session_id TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_visit_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;
CREATE INDEX CUSTOMER_VISITOR_CUSTOMER_ID ON customer_visitor (customer_id);
CREATE INDEX CUSTOMER_VISITOR_LAST_VISIT_AT ON customer_visitor (last_visit_at);

CREATE TABLE oauth_consumer (
    entity_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    secret TEXT NOT NULL,
    callback_url TEXT,
    rejected_callback_url TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX OAUTH_CONSUMER_KEY ON oauth_consumer (key);
CREATE UNIQUE INDEX OAUTH_CONSUMER_SECRET ON oauth_consumer (secret);
CREATE INDEX OAUTH_CONSUMER_CREATED_AT ON oauth_consumer (created_at);
CREATE INDEX OAUTH_CONSUMER_UPDATED_AT ON oauth_consumer (updated_at);

CREATE TABLE oauth_token (
    entity_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    consumer_id INTEGER REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE,
    admin_id INTEGER REFERENCES admin_user (user_id) ON DELETE CASCADE,
    customer_id INTEGER REFERENCES customer_entity (entity_id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    token TEXT NOT NULL,
    secret TEXT NOT NULL,
    verifier TEXT,
    callback_url TEXT NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    authorized INTEGER NOT NULL DEFAULT 0,
    user_type INTEGER,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;
CREATE UNIQUE INDEX OAUTH_TOKEN_TOKEN ON oauth_token (token);
CREATE INDEX OAUTH_TOKEN_ADMIN_ID_ADMIN_USER_USER_ID ON oauth_token (admin_id);
CREATE INDEX OAUTH_TOKEN_CUSTOMER_ID_CUSTOMER_ENTITY_ENTITY_ID ON oauth_token (customer_id);
CREATE INDEX OAUTH_TOKEN_CONSUMER_ID ON oauth_token (consumer_id);
CREATE INDEX OAUTH_TOKEN_CREATED_AT ON oauth_token (created_at);

CREATE TABLE oauth_nonce (
    nonce TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    consumer_id INTEGER NOT NULL REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE,
    PRIMARY KEY (nonce, consumer_id)
) STRICT;
CREATE INDEX OAUTH_NONCE_CONSUMER_ID_OAUTH_CONSUMER_ENTITY_ID ON oauth_nonce (consumer_id);
CREATE INDEX OAUTH_NONCE_TIMESTAMP ON oauth_nonce (timestamp);

CREATE TABLE oauth_token_request_log (
    log_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_name TEXT NOT NULL COLLATE NOCASE,
    user_type INTEGER NOT NULL,
    failures_count INTEGER DEFAULT 0,
    lock_expires_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;
CREATE UNIQUE INDEX OAUTH_TOKEN_REQUEST_LOG_USER_NAME_USER_TYPE ON oauth_token_request_log (user_name, user_type);

CREATE TABLE integration (
    integration_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    email TEXT NOT NULL,
    endpoint TEXT,
    status INTEGER NOT NULL,
    consumer_id INTEGER REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    setup_type INTEGER NOT NULL DEFAULT 0,
    identity_link_url TEXT
) STRICT;
CREATE UNIQUE INDEX INTEGRATION_NAME ON integration (name);
CREATE UNIQUE INDEX INTEGRATION_CONSUMER_ID ON integration (consumer_id);

CREATE TABLE authorization_role (
    role_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    parent_id INTEGER NOT NULL DEFAULT 0,
    tree_level INTEGER NOT NULL DEFAULT 0,
    sort_order INTEGER NOT NULL DEFAULT 0,
    role_type TEXT NOT NULL DEFAULT '0',
    user_id INTEGER NOT NULL DEFAULT 0,
    user_type TEXT,
    role_name TEXT
) STRICT;
CREATE INDEX AUTHORIZATION_ROLE_PARENT_ID_SORT_ORDER ON authorization_role (parent_id, sort_order);
CREATE INDEX AUTHORIZATION_ROLE_TREE_LEVEL ON authorization_role (tree_level);

CREATE TABLE authorization_rule (
    rule_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    role_id INTEGER NOT NULL DEFAULT 0 REFERENCES authorization_role (role_id) ON DELETE CASCADE,
    resource_id TEXT,
    privileges TEXT,
    permission TEXT
) STRICT;
CREATE INDEX AUTHORIZATION_RULE_RESOURCE_ID_ROLE_ID ON authorization_rule (resource_id, role_id);
CREATE INDEX AUTHORIZATION_RULE_ROLE_ID_RESOURCE_ID ON authorization_rule (role_id, resource_id);

CREATE TABLE jwt_auth_revoked (
    user_type_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    revoke_before INTEGER NOT NULL,
    PRIMARY KEY (user_type_id, user_id)
) STRICT;

-- What every Magento has from its installation: the admin scope, and one website with one store view.
INSERT INTO store_website (website_id, code, name, sort_order, default_group_id, is_default) VALUES
    (0, 'admin', 'Admin', 0, 0, 0),
    (1, 'base', 'Main Website', 0, 1, 1);
INSERT INTO store_group (group_id, website_id, name, default_store_id, code) VALUES
    (0, 0, 'Default', 0, 'default'),
    (1, 1, 'Main Website Store', 1, 'main_website_store');
INSERT INTO store (store_id, code, website_id, group_id, name, is_active) VALUES
    (0, 'admin', 0, 0, 'Admin', 1),
    (1, 'default', 1, 1, 'Default Store View', 1);
