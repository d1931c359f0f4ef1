-- The gate in Lua: sets the identity of the request, or ends it.

local identity, status = require("gate").identify(ngx.var.http_authorization)
if not identity then
    return ngx.exit(status)
end
local var = ngx.var
var.user_type = identity.user_type
var.auth_method = identity.auth_method
var.user_id = identity.user_id
var.acl = identity.acl
