-- The tables of Magento 2.4.6 that authentication reads and writes, name for name and column for column.
--
-- Identifiers stand in double quotes: our sessions ask for them. A zero date of Magento's is NULL here.
-- Tokens, keys and nonces compare byte by byte. Names of accounts compare without regard to case, as in Magento, so that two
-- spellings of one name are neither two accounts nor two lock-outs.

CREATE TABLE store_website (
    website_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code VARCHAR(32),
    name VARCHAR(64),
    sort_order SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    default_group_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    is_default SMALLINT UNSIGNED DEFAULT 0,
    UNIQUE KEY STORE_WEBSITE_CODE (code),
    KEY STORE_WEBSITE_SORT_ORDER (sort_order),
    KEY STORE_WEBSITE_DEFAULT_GROUP_ID (default_group_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE store_group (
    group_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    website_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    name VARCHAR(255) NOT NULL,
    root_category_id INT UNSIGNED NOT NULL DEFAULT 0,
    default_store_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    code VARCHAR(32),
    UNIQUE KEY STORE_GROUP_CODE (code),
    KEY STORE_GROUP_WEBSITE_ID (website_id),
    KEY STORE_GROUP_DEFAULT_STORE_ID (default_store_id),
    CONSTRAINT STORE_GROUP_WEBSITE_ID FOREIGN KEY (website_id) REFERENCES store_website (website_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE store (
    store_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code VARCHAR(32),
    website_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    group_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    name VARCHAR(255) NOT NULL,
    sort_order SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    is_active SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    UNIQUE KEY STORE_CODE (code),
    KEY STORE_WEBSITE_ID (website_id),
    KEY STORE_IS_ACTIVE_SORT_ORDER (is_active, sort_order),
    KEY STORE_GROUP_ID (group_id),
    CONSTRAINT STORE_WEBSITE_ID FOREIGN KEY (website_id) REFERENCES store_website (website_id) ON DELETE CASCADE,
    CONSTRAINT STORE_GROUP_ID FOREIGN KEY (group_id) REFERENCES store_group (group_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE core_config_data (
    config_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    scope VARCHAR(8) NOT NULL DEFAULT 'default',
    scope_id INT NOT NULL DEFAULT 0,
    path VARCHAR(255) NOT NULL DEFAULT 'general',
    value TEXT,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY CORE_CONFIG_DATA_SCOPE_SCOPE_ID_PATH (scope, scope_id, path)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE admin_user (
    user_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    firstname VARCHAR(32),
    lastname VARCHAR(32),
    email VARCHAR(128),
    username VARCHAR(40),
    password VARCHAR(255) NOT NULL,
    created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    modified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    logdate TIMESTAMP NULL DEFAULT NULL,
    lognum SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    reload_acl_flag SMALLINT NOT NULL DEFAULT 0,
    is_active SMALLINT NOT NULL DEFAULT 1,
    extra TEXT,
    rp_token TEXT,
    rp_token_created_at TIMESTAMP NULL DEFAULT NULL,
    interface_locale VARCHAR(16) NOT NULL DEFAULT 'en_US',
    failures_num SMALLINT DEFAULT 0,
    first_failure TIMESTAMP NULL DEFAULT NULL,
    lock_expires TIMESTAMP NULL DEFAULT NULL,
    UNIQUE KEY ADMIN_USER_USERNAME (username)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE admin_passwords (
    password_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id INT UNSIGNED NOT NULL DEFAULT 0,
    password_hash VARCHAR(255),
    expires INT UNSIGNED NOT NULL DEFAULT 0,
    last_updated INT UNSIGNED NOT NULL DEFAULT 0,
    KEY ADMIN_PASSWORDS_USER_ID (user_id),
    CONSTRAINT ADMIN_PASSWORDS_USER_ID FOREIGN KEY (user_id) REFERENCES admin_user (user_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE admin_user_session (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    session_id VARCHAR(1),
    user_id INT UNSIGNED,
    status SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ip VARCHAR(15) NOT NULL,
    KEY ADMIN_USER_SESSION_SESSION_ID (session_id),
    KEY ADMIN_USER_SESSION_USER_ID (user_id),
    CONSTRAINT ADMIN_USER_SESSION_USER_ID FOREIGN KEY (user_id) REFERENCES admin_user (user_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE customer_entity (
    entity_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    website_id SMALLINT UNSIGNED,
    email VARCHAR(255),
    group_id SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    store_id SMALLINT UNSIGNED DEFAULT 0,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    is_active SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    disable_auto_group_change SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    firstname VARCHAR(255),
    lastname VARCHAR(255),
    password_hash VARCHAR(128),
    rp_token VARCHAR(128),
    rp_token_created_at TIMESTAMP NULL DEFAULT NULL,
    confirmation VARCHAR(64),
    failures_num SMALLINT DEFAULT 0,
    first_failure TIMESTAMP NULL DEFAULT NULL,
    lock_expires TIMESTAMP NULL DEFAULT NULL,
    session_cutoff TIMESTAMP NULL DEFAULT NULL,
    UNIQUE KEY CUSTOMER_ENTITY_EMAIL_WEBSITE_ID (email, website_id),
    KEY CUSTOMER_ENTITY_STORE_ID (store_id),
    KEY CUSTOMER_ENTITY_WEBSITE_ID (website_id),
    CONSTRAINT CUSTOMER_ENTITY_WEBSITE_ID FOREIGN KEY (website_id) REFERENCES store_website (website_id) ON DELETE SET NULL,
    CONSTRAINT CUSTOMER_ENTITY_STORE_ID FOREIGN KEY (store_id) REFERENCES store (store_id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE customer_visitor (
    visitor_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id INT,
    session_id VARCHAR(1),
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_visit_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY CUSTOMER_VISITOR_CUSTOMER_ID (customer_id),
    KEY CUSTOMER_VISITOR_LAST_VISIT_AT (last_visit_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE oauth_consumer (
    entity_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NULL DEFAULT NULL,
    name VARCHAR(255) NOT NULL,
    "key" VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
    secret VARCHAR(128) COLLATE utf8mb4_bin NOT NULL,
    callback_url TEXT,
    rejected_callback_url TEXT NOT NULL,
    UNIQUE KEY OAUTH_CONSUMER_KEY ("key"),
    UNIQUE KEY OAUTH_CONSUMER_SECRET (secret),
    KEY OAUTH_CONSUMER_CREATED_AT (created_at),
    KEY OAUTH_CONSUMER_UPDATED_AT (updated_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE oauth_token (
    entity_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    consumer_id INT UNSIGNED,
    admin_id INT UNSIGNED,
    customer_id INT UNSIGNED,
    type VARCHAR(16) NOT NULL,
    token VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
    secret VARCHAR(128) COLLATE utf8mb4_bin NOT NULL,
    verifier VARCHAR(32) COLLATE utf8mb4_bin,
    callback_url TEXT NOT NULL,
    revoked SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    authorized SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    user_type INT,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY OAUTH_TOKEN_TOKEN (token),
    KEY OAUTH_TOKEN_ADMIN_ID_ADMIN_USER_USER_ID (admin_id),
    KEY OAUTH_TOKEN_CUSTOMER_ID_CUSTOMER_ENTITY_ENTITY_ID (customer_id),
    KEY OAUTH_TOKEN_CONSUMER_ID (consumer_id),
    KEY OAUTH_TOKEN_CREATED_AT (created_at),
    CONSTRAINT OAUTH_TOKEN_CONSUMER_ID FOREIGN KEY (consumer_id) REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE,
    CONSTRAINT OAUTH_TOKEN_ADMIN_ID FOREIGN KEY (admin_id) REFERENCES admin_user (user_id) ON DELETE CASCADE,
    CONSTRAINT OAUTH_TOKEN_CUSTOMER_ID FOREIGN KEY (customer_id) REFERENCES customer_entity (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE oauth_nonce (
    nonce VARCHAR(32) COLLATE utf8mb4_bin NOT NULL,
    "timestamp" INT UNSIGNED NOT NULL,
    consumer_id INT UNSIGNED NOT NULL,
    PRIMARY KEY (nonce, consumer_id),
    KEY OAUTH_NONCE_CONSUMER_ID_OAUTH_CONSUMER_ENTITY_ID (consumer_id),
    KEY OAUTH_NONCE_TIMESTAMP ("timestamp"),
    CONSTRAINT OAUTH_NONCE_CONSUMER_ID FOREIGN KEY (consumer_id) REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE oauth_token_request_log (
    log_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_name VARCHAR(255) NOT NULL,
    user_type SMALLINT UNSIGNED NOT NULL,
    failures_count SMALLINT UNSIGNED DEFAULT 0,
    lock_expires_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY OAUTH_TOKEN_REQUEST_LOG_USER_NAME_USER_TYPE (user_name, user_type)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE integration (
    integration_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    email VARCHAR(255) NOT NULL,
    endpoint VARCHAR(255),
    status SMALLINT UNSIGNED NOT NULL,
    consumer_id INT UNSIGNED,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    setup_type SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    identity_link_url VARCHAR(255),
    UNIQUE KEY INTEGRATION_NAME (name),
    UNIQUE KEY INTEGRATION_CONSUMER_ID (consumer_id),
    CONSTRAINT INTEGRATION_CONSUMER_ID FOREIGN KEY (consumer_id) REFERENCES oauth_consumer (entity_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE authorization_role (
    role_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    parent_id INT UNSIGNED NOT NULL DEFAULT 0,
    tree_level SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    sort_order SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    role_type VARCHAR(1) NOT NULL DEFAULT '0',
    user_id INT UNSIGNED NOT NULL DEFAULT 0,
    user_type VARCHAR(16),
    role_name VARCHAR(50),
    KEY AUTHORIZATION_ROLE_PARENT_ID_SORT_ORDER (parent_id, sort_order),
    KEY AUTHORIZATION_ROLE_TREE_LEVEL (tree_level)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE authorization_rule (
    rule_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    role_id INT UNSIGNED NOT NULL DEFAULT 0,
    resource_id VARCHAR(255),
    privileges VARCHAR(20),
    permission VARCHAR(10),
    KEY AUTHORIZATION_RULE_RESOURCE_ID_ROLE_ID (resource_id, role_id),
    KEY AUTHORIZATION_RULE_ROLE_ID_RESOURCE_ID (role_id, resource_id),
    CONSTRAINT AUTHORIZATION_RULE_ROLE_ID FOREIGN KEY (role_id) REFERENCES authorization_role (role_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE jwt_auth_revoked (
    user_type_id INT UNSIGNED NOT NULL,
    user_id INT UNSIGNED NOT NULL,
    revoke_before BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (user_type_id, user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

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
