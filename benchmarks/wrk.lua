-- wrk script: sends each request of a file once and prints what came back (D76).
-- The file holds, for each request, its length in bytes on a line and then the request.
-- The output is one line of JSON figures, then a line for each distinct answer with its count.

local answering_thread
local requests, is_probed

function setup(thread)
    answering_thread = thread
end

function init(arguments)
    requests = assert(io.open(arguments[1], "rb"))
    answers = {}
    is_exhausted = false
end

local function read_next_request()
    local length = requests:read("*n")
    if length == nil then return nil end
    requests:read(1)
    return requests:read(length)
end

function request()
    local next_request = read_next_request()
    if next_request == nil then
        is_exhausted = true
        wrk.thread:stop()
        return ""
    end
    if not is_probed then
        -- wrk calls this function once before the run and does not send the result.
        is_probed = true
        requests:seek("set", 0)
    end
    return next_request
end

function response(status, _, body)
    local answer = status .. " " .. body
    answers[answer] = (answers[answer] or 0) + 1
end

function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '\n{"seconds": %f, "mean": %f, "p50": %f, "p99": %f, "longest": %f, "broken": %d,'
            .. ' "is_exhausted": %s}\n',
        summary.duration / 1e6, latency.mean / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
        latency.max / 1e6, errors.connect + errors.read + errors.write + errors.timeout,
        tostring(answering_thread:get("is_exhausted"))
    ))
    for answer, times in pairs(answering_thread:get("answers")) do
        io.write(string.format("%d %s\n", times, answer))
    end
end
