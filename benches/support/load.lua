-- wrk's script: sends the head in FILE for each request, its Authorization replaced by the next line of LIST if there is one.
-- Ends with one line: requests done, microseconds, answers that were no 2xx or 3xx, socket errors.

local head, list, credentials, before, after

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    head = file:read("*a")
    file:close()
    if arguments[2] then
        -- Line by line: a list of a hundred megabytes in memory keeps the collector of garbage busier than the proxy.
        list = arguments[2]
        credentials = io.lines(list)
        before, after = head:match("^(.*\r\nauthorization: )[^\r]*(\r\n.*)$")
    end
end

function request()
    if not credentials then
        return head
    end
    local credential = credentials()
    if not credential then
        -- A used-up list is sent from its start again: the replays are refused, and the run counts as failed.
        credentials = io.lines(list)
        credential = credentials()
    end
    return before .. credential .. after
end

function done(summary)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    print(string.format("done %d %d %d %d", summary.requests, summary.duration, errors.status, broken))
end
