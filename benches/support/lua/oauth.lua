-- OAuth 1.0a with HMAC-SHA256 (RFC 5849): the header is read, the base string made, the signature compared in constant time,
-- and the nonce used up last.
--
-- Signing keys are loaded before the workers start, and each worker keys one HMAC of OpenSSL's for each of them once. Only
-- functions that LuaJIT compiles are used where a request passes: plain finds instead of patterns, and an insertion sort.

local ffi = require("ffi")

local C = ffi.C
local find, sub, byte, gsub = string.find, string.sub, string.byte, string.gsub
local lower, upper = string.lower, string.upper
local escape, unescape = ngx.escape_uri, ngx.unescape_uri
local concat = table.concat

local WINDOW = 600
local MAX_PARAMETERS = 64
local BLANK, QUOTE = 32, 34

ffi.cdef [[
typedef struct hmac_ctx_st HMAC_CTX;
typedef struct evp_md_st EVP_MD;
HMAC_CTX *HMAC_CTX_new(void);
void HMAC_CTX_free(HMAC_CTX *ctx);
int HMAC_Init_ex(HMAC_CTX *ctx, const void *key, int len, const EVP_MD *md, void *engine);
int HMAC_Update(HMAC_CTX *ctx, const char *data, size_t len);
int HMAC_Final(HMAC_CTX *ctx, unsigned char *md, unsigned int *len);
const EVP_MD *EVP_sha256(void);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]

local code = ffi.new("unsigned char[64]")
local code_length = ffi.new("unsigned int[1]")
local credentials = {}
local nonces = ngx.shared.nonces

local _M = {}

-- What nginx's escape does with a byte: nothing, rightly (0); the right thing (1); nothing, although RFC 5849 §3.6 wants it
-- encoded (2).
local treatment = ffi.new("uint8_t[256]")
ffi.fill(treatment, 256, 1)
local MARKS = { ["!"] = "%21", ["'"] = "%27", ["("] = "%28", [")"] = "%29", ["*"] = "%2A" }
for plain in string.gmatch("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", ".") do
    treatment[byte(plain)] = 0
end
for mark in pairs(MARKS) do
    treatment[byte(mark)] = 2
end

local function encode(text)
    local worst = 0
    for at = 1, #text do
        local own = treatment[byte(text, at)]
        if own > worst then
            worst = own
        end
    end
    if worst == 0 then
        return text
    end
    text = escape(text)
    return worst == 1 and text or (gsub(text, "[!'()*]", MARKS))
end

local function keyed(key)
    local hmac = ffi.gc(C.HMAC_CTX_new(), C.HMAC_CTX_free)
    assert(C.HMAC_Init_ex(hmac, key, #key, C.EVP_sha256(), nil) == 1)
    return hmac
end

-- One line a credential: consumer key, token, both secrets, type and id of the user, ACL; apart by tabs.
function _M.load(path)
    for line in io.lines(path) do
        local fields = {}
        for field in string.gmatch(line, "[^\t]+") do
            fields[#fields + 1] = field
        end
        local consumer, token, secret, token_secret, user_type, user_id, acl = unpack(fields)
        credentials[consumer .. token] = {
            key = encode(secret) .. "&" .. encode(token_secret),
            consumer = consumer,
            identity = { user_type = user_type, auth_method = "oauth1", user_id = user_id, acl = acl },
        }
    end
end

-- Adds a pair, both sides encoded, in its place by name and then by value (RFC 5849 §3.4.1.3.2).
local function insert(names, values, count, name, value)
    local at = count
    while at > 0 and (name < names[at] or (name == names[at] and value < values[at])) do
        names[at + 1], values[at + 1] = names[at], values[at]
        at = at - 1
    end
    names[at + 1], values[at + 1] = name, value
    return count + 1
end

-- The parameters of the header by name; nil where one stands there twice or there are too many. All but realm and the
-- signature are signed.
local function read_header(header, names, values)
    local own, count, from, length = {}, 0, 7, #header
    while from <= length do
        local comma = find(header, ",", from, true) or length + 1
        local first, last = from, comma - 1
        while byte(header, first) == BLANK do
            first = first + 1
        end
        while last > first and byte(header, last) == BLANK do
            last = last - 1
        end
        local equals = find(header, "=", first, true)
        if equals and equals <= last then
            local name = unescape(sub(header, first, equals - 1))
            first = equals + 1
            if byte(header, first) == QUOTE and byte(header, last) == QUOTE and last > first then
                first, last = first + 1, last - 1
            end
            local value = unescape(sub(header, first, last))
            if own[name] or count == MAX_PARAMETERS then
                return nil
            end
            own[name] = value
            if name ~= "oauth_signature" and lower(name) ~= "realm" then
                count = insert(names, values, count, encode(name), encode(value))
            end
        end
        from = comma + 1
    end
    return own, count
end

local function read_query(query, names, values, count)
    local from, length = 1, #query
    while from <= length do
        local ampersand = find(query, "&", from, true) or length + 1
        if ampersand > from then
            local equals = find(query, "=", from, true)
            if not equals or equals > ampersand then
                equals = ampersand
            end
            local name = encode(unescape(sub(query, from, equals - 1)))
            count = insert(names, values, count, name, encode(unescape(sub(query, equals + 1, ampersand - 1))))
        end
        from = ampersand + 1
    end
    return count
end

local function base_string(names, values, count, path)
    local pieces, at = {}, 0
    for position = 1, count do
        if position > 1 then
            at = at + 1
            pieces[at] = "&"
        end
        pieces[at + 1], pieces[at + 2], pieces[at + 3] = names[position], "=", values[position]
        at = at + 3
    end
    local host = lower(ngx.var.http_host or "")
    if sub(host, -3) == ":80" then
        host = sub(host, 1, -4)
    end
    local url = encode("http://" .. host .. path)
    -- What is encoded once holds no mark any more.
    return upper(ngx.var.request_method) .. "&" .. url .. "&" .. escape(concat(pieces, "", 1, at))
end

local function verifies(credential, text, signature)
    local presented = ngx.decode_base64(signature)
    if not presented or #presented ~= 32 then
        return false
    end
    local hmac = credential.hmac
    if hmac then
        C.HMAC_Init_ex(hmac, nil, 0, nil, nil)
    else
        hmac = keyed(credential.key)
        credential.hmac = hmac
    end
    C.HMAC_Update(hmac, text, #text)
    C.HMAC_Final(hmac, code, code_length)
    return C.CRYPTO_memcmp(code, presented, 32) == 0
end

-- The identity, or nil and the status to end with.
function _M.identify(header)
    local names, values = {}, {}
    local own, count = read_header(header, names, values)
    if not own or not own.oauth_consumer_key or not own.oauth_token or not own.oauth_nonce then
        return nil, 401
    end
    if own.oauth_signature_method ~= "HMAC-SHA256" or not own.oauth_signature then
        return nil, 401
    end
    if own.oauth_version and own.oauth_version ~= "1.0" then
        return nil, 401
    end
    local credential = credentials[own.oauth_consumer_key .. own.oauth_token]
    local timestamp, now = tonumber(own.oauth_timestamp), ngx.time()
    if not credential or not timestamp or not (timestamp >= now - WINDOW and timestamp <= now + WINDOW) then
        return nil, 401
    end
    local uri = ngx.var.request_uri
    local mark = find(uri, "?", 1, true)
    if mark then
        count = read_query(sub(uri, mark + 1), names, values, count)
    end
    local path = mark and sub(uri, 1, mark - 1) or uri
    if not verifies(credential, base_string(names, values, count, path), own.oauth_signature) then
        return nil, 401
    end
    -- Kept for as long as its timestamp is acceptable. safe_add forgets nothing that is live: a full dictionary refuses.
    local kept = timestamp + WINDOW - now + 1
    local added, problem = nonces:safe_add(credential.consumer .. own.oauth_nonce, true, kept)
    if added then
        return credential.identity
    end
    return nil, problem == "exists" and 401 or 503
end

return _M
