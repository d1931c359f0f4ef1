-- wrk's script: sends the head in FILE for each request, its Authorization replaced by the next line of LIST if there is one.
-- Ends with one line: requests done, microseconds, answers that were no 2xx or 3xx, socket errors.

local head, credentials, before, after
local sent = 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    head = file:read("*a")
    file:close()
    if arguments[2] then
        credentials = {}
        for line in io.lines(arguments[2]) do
            credentials[#credentials + 1] = line
        end
        before, after = head:match("^(.*\r\nauthorization: )[^\r]*(\r\n.*)$")
    end
end

function request()
    if not credentials then
        return head
    end
    sent = sent + 1
    -- A used-up list is sent from its start again: the replays are refused, and the run counts as failed.
    return before .. credentials[(sent - 1) % #credentials + 1] .. after
end

function done(summary)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    print(string.format("done %d %d %d %d", summary.requests, summary.duration, errors.status, broken))
end
