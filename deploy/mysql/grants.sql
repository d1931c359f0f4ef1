-- The least rights of Portcullis in a Magento's own database.
--
-- Put your names for the database `magento`, the user and its host, and the prefix of your tables, for instance with
--   sed -e 's/`magento`\.`/`shop`.`m2_/' -e "s/'%'/'10.0.0.%'/" grants.sql | mysql
-- and leave out the sections of what you do not use. Nothing here creates or alters a table, and no column of a password is
-- readable unless tokens are issued. `portcullis check` names every right that is wanting.

-- CREATE USER 'portcullis'@'%' IDENTIFIED BY '…';

-- Deciding about requests: what every gate needs.
GRANT SELECT ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`oauth_consumer` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`integration` TO 'portcullis'@'%';
GRANT SELECT (`user_id`, `username`, `is_active`) ON `magento`.`admin_user` TO 'portcullis'@'%';
GRANT SELECT (`entity_id`, `email`, `website_id`, `is_active`, `session_cutoff`) ON `magento`.`customer_entity` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`jwt_auth_revoked` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`authorization_role` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`authorization_rule` TO 'portcullis'@'%';
GRANT SELECT (`config_id`, `scope`, `scope_id`, `path`, `value`) ON `magento`.`core_config_data` TO 'portcullis'@'%';
GRANT SELECT (`store_id`, `code`, `website_id`) ON `magento`.`store` TO 'portcullis'@'%';
GRANT SELECT (`group_id`, `default_store_id`) ON `magento`.`store_group` TO 'portcullis'@'%';
GRANT SELECT (`website_id`, `code`, `default_group_id`, `is_default`) ON `magento`.`store_website` TO 'portcullis'@'%';

-- Sessions as proof (sessions.handler).
GRANT SELECT (`visitor_id`, `created_at`) ON `magento`.`customer_visitor` TO 'portcullis'@'%';
GRANT SELECT (`id`, `user_id`, `status`) ON `magento`.`admin_user_session` TO 'portcullis'@'%';

-- Issuing and revoking tokens (tokens.issuer is not "upstream").
GRANT SELECT (`password`, `lognum`) ON `magento`.`admin_user` TO 'portcullis'@'%';
GRANT UPDATE (`logdate`, `lognum`, `password`) ON `magento`.`admin_user` TO 'portcullis'@'%';
GRANT SELECT (`password_hash`, `confirmation`, `failures_num`, `first_failure`, `lock_expires`) ON `magento`.`customer_entity` TO 'portcullis'@'%';
GRANT UPDATE (`password_hash`, `failures_num`, `first_failure`, `lock_expires`) ON `magento`.`customer_entity` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`jwt_auth_revoked` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`jwt_auth_revoked` TO 'portcullis'@'%';

-- The handshake and integrations (handshake.issuer = "portcullis", integrations.file).
GRANT INSERT ON `magento`.`oauth_consumer` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`oauth_consumer` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_consumer` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`integration` TO 'portcullis'@'%';
GRANT UPDATE ON `magento`.`integration` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`integration` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`authorization_role` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`authorization_role` TO 'portcullis'@'%';
GRANT INSERT ON `magento`.`authorization_rule` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`authorization_rule` TO 'portcullis'@'%';

-- Cleaning up (an interval in [jobs]); Magento's own cron does it, too.
GRANT SELECT ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_token_request_log` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_token` TO 'portcullis'@'%';
GRANT SELECT ON `magento`.`oauth_nonce` TO 'portcullis'@'%';
GRANT DELETE ON `magento`.`oauth_nonce` TO 'portcullis'@'%';

-- Enabling and disabling users from the shell (portcullis user).
GRANT UPDATE (`is_active`, `modified`) ON `magento`.`admin_user` TO 'portcullis'@'%';
GRANT UPDATE (`is_active`, `updated_at`) ON `magento`.`customer_entity` TO 'portcullis'@'%';
