-- The closed loop of the benchmarks. Arguments: method, bytes of body, kind (plain, users, chunked,
-- close, fieldsN: so many fields beside Host).
-- `users` cycles 10,000 user ids, two in a hundred with a cohort header. Prints one line of JSON at the end.
local requests, turn = {}, 0

local function body(bytes)
    local start, filler = '{"inputs":[{"data":[', '0.25,'
    local text = start .. string.rep(filler, math.ceil(bytes / #filler))
    return string.sub(text, 1, math.max(0, bytes - 5)) .. '0]}]}'
end

function init(arguments)
    wrk.method = arguments[1]
    local bytes, kind = tonumber(arguments[2]), arguments[3]
    if bytes > 0 then
        wrk.body = body(bytes)
        wrk.headers["content-type"] = "application/json"
    end
    if kind == "close" then wrk.headers["connection"] = "close" end
    for i = 1, tonumber(string.match(kind, "^fields(%d+)$")) or 0 do
        wrk.headers["x-field-" .. i] = "a value of some length"
    end
    if kind == "users" then
        for i = 1, 10000 do
            wrk.headers["x-user-id"] = string.format("u%07d", (i * 7919) % 10000000)
            wrk.headers["x-cohort"] = i % 50 == 0 and "candidate" or nil
            requests[i] = wrk.format()
        end
    elseif kind == "chunked" then
        local text = body(bytes)
        local head = string.format("%s %s HTTP/1.1\r\nhost: %s\r\ntransfer-encoding: chunked\r\n\r\n",
            wrk.method, wrk.path, wrk.host)
        requests[1] = string.format("%s%x\r\n%s\r\n0\r\n\r\n", head, #text, text)
    else
        requests[1] = wrk.format()
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('\n{"requests": %d, "micros": %d, "bad": %d, "p50": %d, "p99": %d}\n',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
