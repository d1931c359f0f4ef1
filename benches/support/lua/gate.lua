-- Which credential it is, and whose: bearer tokens by the shared dictionary, signatures by oauth.lua.
--
-- A token's caller is kept for 5 s, a refusal for 2 s, as Portcullis keeps them. An identity is one string in the dictionary,
-- its fields apart by tabs; every worker remembers what it last made of such a string, so that it need not be cut each time.

local oauth = require("oauth")

local KEPT = 5
local REFUSED = 2

local callers = ngx.shared.callers
local find, sub, lower = string.find, string.sub, string.lower

local _M = {}

local function ask(token)
    local answer = ngx.location.capture("/_auth")
    local header = answer.header
    if answer.status == 200 then
        local acl = header["x-auth-acl"] or ""
        local text = header["x-auth-user-type"] .. "\t" .. header["x-auth-user-id"] .. "\t" .. acl
        callers:set(token, text, KEPT)
        return text
    end
    if answer.status == 401 then
        callers:set(token, false, REFUSED)
        return false
    end
    return nil
end

local last_text, last_identity

local function cut(text)
    if text ~= last_text then
        local first = find(text, "\t", 1, true)
        local second = find(text, "\t", first + 1, true)
        last_identity = {
            auth_method = "bearer",
            user_type = sub(text, 1, first - 1),
            user_id = sub(text, first + 1, second - 1),
            acl = sub(text, second + 1),
        }
        last_text = text
    end
    return last_identity
end

-- The identity, or nil and the status to end with.
function _M.identify(authorization)
    if not authorization then
        return nil, 401
    end
    local scheme = lower(sub(authorization, 1, 7))
    if scheme == "bearer " then
        local token = sub(authorization, 8)
        if token == "" or find(token, " ", 1, true) then
            return nil, 401
        end
        local text = callers:get(token)
        if text == nil then
            text = ask(token)
            if text == nil then
                return nil, 503
            end
        end
        if not text then
            return nil, 401
        end
        return cut(text)
    end
    if sub(scheme, 1, 6) == "oauth " then
        return oauth.identify(authorization)
    end
    return nil, 401
end

return _M
