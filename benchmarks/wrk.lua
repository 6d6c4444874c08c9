-- Sends each request of a file once, over all connections of the only thread, and says what came
-- back: a line of figures, then a line for each kind of answer, with how often it came.

local answers_of
local requests, is_checked

function setup(thread)
    answers_of = thread
end

function init(arguments)
    requests = assert(io.open(arguments[1], "rb"))
    answers = {}
    is_exhausted = false
end

local function following()
    local length = requests:read("*n")
    if length == nil then return nil end
    requests:read(1)
    return requests:read(length)
end

function request()
    local given = following()
    if given == nil then
        is_exhausted = true
        wrk.thread:stop()
        return ""
    end
    if not is_checked then
        -- wrk looks at the first one without sending it.
        is_checked = true
        requests:seek("set", 0)
    end
    return given
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
        tostring(answers_of:get("is_exhausted"))
    ))
    for answer, times in pairs(answers_of:get("answers")) do
        io.write(string.format("%d %s\n", times, answer))
    end
end
