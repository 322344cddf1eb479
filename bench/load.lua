-- The load of bench/run: GET, or POST of a 1 KB body when the method is given as an argument.
-- Prints one line of JSON that bench/run reads.
function init(arguments)
    if arguments[1] == "POST" then
        wrk.method = "POST"
        wrk.body = '{"inputs":[{"data":[' .. string.rep("0.25,", 198) .. '0.25]}]}'
        wrk.headers["content-type"] = "application/json"
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('\n{"requests": %d, "micros": %d, "bad": %d, "p50": %d, "p99": %d}\n',
        summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
